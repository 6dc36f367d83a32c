"""The fabric in a box: builds one disk image and boots the lab's virtual machines (standard library only)."""
