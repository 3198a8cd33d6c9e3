/* libjpeg-turbo reads $JPEGMEM, a limit of memory, by sscanf: 85 KB of a static C library, for what nothing here sets.
 * Defined here, it is not taken from there; it finds nothing, and the limit stays as it is. */
int sscanf(const char *text, const char *format, ...);
int __isoc99_sscanf(const char *text, const char *format, ...);

int sscanf(const char *text, const char *format, ...) {
    (void)text;
    (void)format;
    return 0;
}

int __isoc99_sscanf(const char *text, const char *format, ...) {
    (void)text;
    (void)format;
    return 0;
}
