#define _POSIX_C_SOURCE 200809L

#include "plot.h"

#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

static const char script[] =
    "set terminal svg size 1000,420 font 'sans-serif,13' background rgb 'white'\n"
    "set datafile separator tab\n"
    "set key autotitle columnhead\n"
    "set multiplot layout 1,2 title 'Fashion-MNIST, perceptron 784-256-256-10'\n"
    "set xlabel 'epoch'\n"
    "set grid ytics lc rgb '#dddddd'\n"
    "set border 3\n"
    "set tics nomirror\n"
    "set style line 1 lc rgb '#0072b2' lw 2 pt 7 ps 0.6\n"
    "set style line 2 lc rgb '#d55e00' lw 2 pt 7 ps 0.6\n"
    "set style line 3 lc rgb '#56b4e9' lw 2 dt 2 pt 6 ps 0.6\n"
    "set key above vertical maxrows 3\n"
    "set ylabel 'training loss'\n"
    "set yrange [0:*]\n"
    "plot loss using 1:2 with lines ls 1, loss using 1:3 with lines ls 2\n"
    "set ylabel 'test accuracy, %'\n"
    "set yrange [*:*]\n"
    "set xrange [0.5:epochs+0.5]\n"
    "set xtics 1\n"
    "plot accuracy using 1:2 with linespoints ls 1, accuracy using 1:3 with linespoints ls 3, \\\n"
    "     accuracy using 1:4 with linespoints ls 2\n";

static void make_path(char path[4096], const char *directory, const char *name)
{
    const int length = snprintf(path, 4096, "%s/%s", directory, name);
    if (length < 0 || length >= 4096)
        die("%s: the path is too long", directory);
}

static FILE *open_file(const char *directory, const char *name)
{
    char path[4096];
    make_path(path, directory, name);
    FILE *const file = fopen(path, "w");
    if (!file)
        die("%s: %s", path, strerror(errno));
    return file;
}

static void close_file(FILE *file, const char *name)
{
    const int failed = ferror(file);
    if (fclose(file) != 0 || failed)
        die("%s cannot be written", name);
}

static void write_losses(const char *directory, struct epoch *const epochs[VARIANTS], size_t count)
{
    FILE *const file = open_file(directory, "loss.tsv");
    fputs("epoch\twith batch normalization\twithout\n", file);
    for (size_t i = 0; i < count * POINTS; i++)
        fprintf(file, "%.3f\t%.6f\t%.6f\n", ((double)i + 0.5) / POINTS,
                epochs[WITH][i / POINTS].points[i % POINTS],
                epochs[WITHOUT][i / POINTS].points[i % POINTS]);
    close_file(file, "loss.tsv");
}

static void write_accuracies(const char *directory, struct epoch *const epochs[VARIANTS],
                             size_t count)
{
    FILE *const file = open_file(directory, "accuracy.tsv");
    fputs("epoch\twith, population statistics\twith, running averages\twithout\n", file);
    for (size_t i = 0; i < count; i++)
        fprintf(file, "%zu\t%.2f\t%.2f\t%.2f\n", i + 1, 100 * epochs[WITH][i].accuracy[POPULATION],
                100 * epochs[WITH][i].accuracy[RUNNING],
                100 * epochs[WITHOUT][i].accuracy[RUNNING]);
    close_file(file, "accuracy.tsv");
}

/* name = 'directory/file', quoted as gnuplot wants it. */
static void define_path(FILE *gnuplot, const char *name, const char *directory, const char *file)
{
    fprintf(gnuplot, "%s = '", name);
    for (const char *c = directory; *c; c++)
        fputs(*c == '\'' ? "''" : (const char[]){*c, 0}, gnuplot);
    fprintf(gnuplot, "/%s'\n", file);
}

static int run_gnuplot(const char *directory, size_t epochs)
{
    FILE *const gnuplot = popen("gnuplot", "w");
    if (!gnuplot)
        return 0;
    define_path(gnuplot, "loss", directory, "loss.tsv");
    define_path(gnuplot, "accuracy", directory, "accuracy.tsv");
    define_path(gnuplot, "target", directory, "plot.svg");
    fprintf(gnuplot, "epochs = %zu\nset output target\n", epochs);
    fputs(script, gnuplot);
    return pclose(gnuplot) == 0;
}

void plot_write(const char *directory, struct epoch *const epochs[VARIANTS], size_t count)
{
    if (mkdir(directory, 0777) != 0 && errno != EEXIST)
        die("%s: %s", directory, strerror(errno));
    write_losses(directory, epochs, count);
    write_accuracies(directory, epochs, count);
    signal(
        SIGPIPE,
        SIG_IGN); /* without gnuplot, the shell that popen started is gone before the script is written */
    if (run_gnuplot(directory, count))
        printf("Plot: %s/plot.svg (data beside it: loss.tsv, accuracy.tsv)\n", directory);
    else
        fprintf(stderr, "fashion_mnist: gnuplot did not run; no plot, but the data is in %s\n",
                directory);
}
