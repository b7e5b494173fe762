"""What a device has acknowledged, on disk, so that one that was killed starts again with it.

`framing` has the bytes of records, `records` their meaning (both pure); `files` is the folder and `journal` what a
device calls; `snapshots` puts all contents into few records, `replay` makes contents of records.
"""
