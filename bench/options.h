/* The command line. */
#ifndef CLNORM_BENCH_OPTIONS_H
#define CLNORM_BENCH_OPTIONS_H

struct bench_options {
    const char *cases;       /* file */
    const char *contestants; /* names, parted by commas */
    const char *device, *onednn, *python, *plot, *axis, *table;
    double seconds;
    double schedule;
    int all_schedules, json, latency, help;
    char **problems;
    int count;
};

/* Reads argv, whose operands come to stand together. BENCH_DONE, or BENCH_USAGE after a line. */
int bench_options_parse(struct bench_options *options, int argc, char **argv);

void bench_options_help(void);

#endif
