/* plot.h: the results as files. */
#ifndef PLOT_H
#define PLOT_H

#include "training.h"

/* The two networks of the comparison. */
enum variant { WITH, WITHOUT, VARIANTS };

/*
 * Writes loss.tsv and accuracy.tsv into the directory (made if missing), then plot.svg with gnuplot. epochs[v] has
 * `count` entries. Without gnuplot there is a note on standard error and no plot.
 */
void plot_write(const char *directory, struct epoch *const epochs[VARIANTS], size_t count);

#endif
