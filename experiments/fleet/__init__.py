"""A fleet's images as files: encoded on devices, received and restored on a server.

Layers: `received` (what a bitstream is and decodes to), `folders` (a folder of files becomes another one, resumably),
`rates` (which quality), `encoding`, `restoring` (what is done to a file), `alike` and `training` (a restorer from a
fleet's headers).
"""
