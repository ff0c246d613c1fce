/* Whole files, read. */
#ifndef CLNORM_TOOLS_FILE_H
#define CLNORM_TOOLS_FILE_H

#include <stddef.h>

/*
 * The bytes of a file ("-": standard input) and a zero behind them, malloc'd. More than a GiB, and
 * what cannot be read: fail's line about the option, and the exit status.
 */
int file_read(const char *option, const char *path, char **bytes, size_t *size);

#endif
