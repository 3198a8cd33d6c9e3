"""The plan: a program as a list of kernel calls over one arena, read off what TVM's memory planning left."""
