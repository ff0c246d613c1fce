/* options.h: the command line. */
#ifndef OPTIONS_H
#define OPTIONS_H

#include <stddef.h>
#include <stdint.h>

struct options {
    size_t epochs, batch;
    size_t train; /* images to train on; 0: all */
    double rate;
    uint64_t seed;
    const char *device;        /* NULL: the best */
    const char *data, *output; /* output NULL: not given */
};

/* Ends the program after --help (status 0), which prints the options between introduction and end, and after wrong usage
 * (status 2). */
struct options options_read(int count, char **words, const char *introduction, const char *end);

#endif
