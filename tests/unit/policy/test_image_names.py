"""Names of images, as the distribution project's grammar has them."""

from __future__ import annotations

import pytest

from compiler.policy.imagenames import ImageNameError, LayoutImage, parse_image_name

HEX = "ab" * 32


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("web", "docker.io/library/web:latest"),
        ("web:1", "docker.io/library/web:1"),
        ("shop/web", "docker.io/shop/web:latest"),
        ("docker.io/web", "docker.io/library/web:latest"),
        ("index.docker.io/shop/web:2", "docker.io/shop/web:2"),
        ("localhost/web", "localhost/web:latest"),
        ("localhost:5000/a/b/c:x_Y.z-1", "localhost:5000/a/b/c:x_Y.z-1"),
        ("127.0.0.1:5000/web", "127.0.0.1:5000/web:latest"),
        ("[fd00::1]:5000/web:1", "[fd00::1]:5000/web:1"),
        (f"example.com/web@sha256:{HEX}", f"example.com/web@sha256:{HEX}"),
        (f"example.com/web:1@sha256:{HEX}", f"example.com/web:1@sha256:{HEX}"),
        ("example.com/a__b/c--d/e.f", "example.com/a__b/c--d/e.f:latest"),
        ("oci:/images/web", "oci:/images/web"),
        ("oci:web:1.0", "oci:web:1.0"),
        ("oci-archive:/tmp/a:b/c.tar:example.com-web", "oci-archive:/tmp/a:b/c.tar:example.com-web"),
    ],
)
def test_names(text: str, expected: str) -> None:
    assert str(parse_image_name(text)) == expected


def test_the_name_in_a_layout_is_behind_the_last_colon() -> None:
    expected = LayoutImage(path="/tmp/a:b/c.tar", is_archive=True, name="web")
    assert parse_image_name("oci-archive:/tmp/a:b/c.tar:web") == expected
    assert parse_image_name("oci-archive:/tmp/a:b/c.tar") == LayoutImage(path="/tmp/a:b/c.tar", is_archive=True)


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("", "is no image name"),
        ("oci:", "names no file"),
        ("web:", "has a tag with characters that tags do not have, or more than 128 of them"),
        ("web:" + "t" * 129, "has a tag with characters that tags do not have, or more than 128 of them"),
        ("example.com/web@sha256:12", "has a digest that is not 'sha256:' and 64 hexadecimal digits"),
        ("example.com/web@md5:" + HEX, "has a digest that is not 'sha256:' and 64 hexadecimal digits"),
        ("example.com/Web", "has capitals in the repository"),
        ("example.com/../web", "is no image name"),
        ("example.com//web", "is no image name"),
        ("-.com/web", "has no host name in front of the first '/'"),
        ("example.com/" + "a" * 256, "is no image name"),
    ],
)
def test_what_is_no_name(text: str, problem: str) -> None:
    with pytest.raises(ImageNameError) as refused:
        parse_image_name(text)
    assert str(refused.value) == problem
