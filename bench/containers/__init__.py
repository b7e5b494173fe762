"""What `bench.images` is made of: a shaped link, images of real size, ways of starting containers, figures."""
