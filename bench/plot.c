/*
 * plot.c: the picture, by gnuplot: how many times clnorm's time the best peer takes, a cluster of
 * bars for each shape; and GB/s of each operation, over the tensor's size for each contestant, or,
 * for a sweep, over the channels or the spatial extent for clnorm and the best peer.
 */
#define _POSIX_C_SOURCE 200809L
#include "message.h"
#include "report.h"

#include <errno.h>
#include <math.h>
#include <stdio.h>
#include <string.h>

#define LEFT 0.06 /* of the picture: room for what the axes say */

/* Colours that people who do not tell red from green keep apart (after Okabe and Ito, 2008). */
static const struct series {
    enum clnorm_operation operation;
    enum clnorm_layout layout;
    const char *colour;
} series[] = {
    {CLNORM_FORWARD, CLNORM_NCHW, "#0072b2"},  {CLNORM_FORWARD, CLNORM_NHWC, "#56b4e9"},
    {CLNORM_INFER, CLNORM_NCHW, "#d55e00"},    {CLNORM_INFER, CLNORM_NHWC, "#e69f00"},
    {CLNORM_BACKWARD, CLNORM_NCHW, "#006d54"}, {CLNORM_BACKWARD, CLNORM_NHWC, "#44c9a0"},
};

static int is_of(const struct bench_case *const one, const struct series *const kind)
{
    return one->problem.operation == kind->operation && one->problem.layout == kind->layout;
}

/* What tells a shape's label: type, where it is not f32, and dims. */
static void label_of(const struct bench_case *const one, char *const label, const size_t size)
{
    const enum clnorm_dtype dtype = one->problem.dtype;
    snprintf(label, size, "%s%s%.*s", dtype == CLNORM_F32 ? "" : clnorm_dtype_name(dtype),
             dtype == CLNORM_F32 ? "" : " ", (int)strcspn(one->dims, " "), one->dims);
}

static int is_same_shape(const struct bench_case *const a, const struct bench_case *const b)
{
    char left[64], right[64];
    label_of(a, left, sizeof left);
    label_of(b, right, sizeof right);
    return strcmp(left, right) == 0;
}

static int is_first_of_shape(const struct bench_cases *const cases, const size_t index)
{
    size_t i = 0;
    while (!is_same_shape(&cases->items[i], &cases->items[index]))
        i++;
    return i == index;
}

/* ---- Bars ------------------------------------------------------------------------------------ */

/* The logarithm to base 2 of the best peer's time over clnorm's; NaN where one is missing. */
static double advantage(const struct bench_results *const results,
                        const struct bench_case *const one)
{
    const struct bench_result *const clnorm = bench_results_find(results, one, "clnorm");
    const struct bench_result *const peer = bench_results_peer(results, one);
    return clnorm && peer ? log2(peer->times.median / clnorm->times.median) : NAN;
}

static double advantage_of_shape(const struct bench_results *const results,
                                 const struct bench_cases *const cases,
                                 const struct bench_case *const shape,
                                 const struct series *const kind)
{
    for (size_t i = 0; i < cases->count; i++)
        if (is_same_shape(&cases->items[i], shape) && is_of(&cases->items[i], kind))
            return advantage(results, &cases->items[i]);
    return NAN;
}

static void print_number(FILE *const to, const double value)
{
    if (isfinite(value))
        fprintf(to, " %.6g", value);
    else
        fprintf(to, " NaN");
}

/* A row a shape: its label and the bars. Returns how many rows there are. */
static unsigned print_bars(const struct bench_results *const results,
                           const struct bench_cases *const cases, FILE *const to)
{
    unsigned rows = 0;
    fprintf(to, "$bars << END\n");
    for (size_t i = 0; i < cases->count; i++) {
        char label[64];
        if (!is_first_of_shape(cases, i))
            continue;
        label_of(&cases->items[i], label, sizeof label);
        fprintf(to, "\"%s\"", label);
        for (size_t k = 0; k < ROWS(series); k++)
            print_number(to, advantage_of_shape(results, cases, &cases->items[i], &series[k]));
        fprintf(to, "\n");
        rows++;
    }
    fprintf(to, "END\n");
    return rows;
}

static void plot_bars(FILE *const to)
{
    fprintf(to, "set tmargin at screen 0.92\nset bmargin at screen 0.58\n"
                "set label 1 'Time of the best peer with the same layout over clnorm''s' at screen "
                "0.5,0.98 center font ',16'\nset key at screen 0.5,0.96 center top horizontal\n"
                "set style data histograms\nset style histogram clustered gap 1.5\n"
                "set style fill solid border -1\nset boxwidth 1\n"
                "set grid ytics back lc rgb '#c0c0c0' lw 1 lt 1\n"
                "set xtics rotate by 60 right nomirror scale 0\n"
                "set yrange [*<-1:1<*]\nset ylabel 'times as fast'\n"
                "set ytics nomirror ('1/16' -4, '1/8' -3, '1/4' -2, '1/2' -1, '1' 0, '2' 1, '4' 2, "
                "'8' 3, '16' 4, '32' 5, '64' 6, '128' 7)\n"
                "plot 0 with lines lw 2 lc rgb 'black' notitle");
    for (size_t k = 0; k < ROWS(series); k++)
        fprintf(to, ", $bars using %zu%s lc rgb '%s' lw 0.3 title '%s %s'", k + 2,
                k ? "" : ":xtic(1)", series[k].colour, clnorm_operation_name(series[k].operation),
                clnorm_layout_name(series[k].layout));
    fprintf(to, "\n");
}

/* ---- Speeds ---------------------------------------------------------------------------------- */

/* The curves of the lower panel: of a contestant, all layouts as points over the size; or of one
 * layout, as a line over an extent. "" is the best peer. */
static const struct curve {
    const char *contestant, *title, *style;
    unsigned layouts; /* a bit for each */
} by_size[] =
    {
        {"limit", "limit", "points pt 2 ps 0.8 lc rgb '#808080'", 3},
        {"pytorch", "PyTorch", "points pt 4 ps 0.9 lc rgb '#e69f00'", 3},
        {"onednn", "oneDNN", "points pt 8 ps 1.0 lc rgb '#0072b2'", 3},
        {"onednn-blocked", "oneDNN nChw16c", "points pt 10 ps 1.0 lc rgb '#009e73'", 3},
        {"clnorm", "clnorm", "points pt 7 ps 0.9 lc rgb '#d55e00'", 3},
},
  by_extent[] = {
      {"clnorm", "clnorm nchw", "linespoints pt 7 ps 0.6 lw 2 lc rgb '#d55e00'", 1},
      {"clnorm", "clnorm nhwc", "linespoints pt 7 ps 0.6 lw 2 lc rgb '#0072b2'", 2},
      {"", "best peer nchw", "lines dt 2 lw 1.5 lc rgb '#d55e00'", 1},
      {"", "best peer nhwc", "lines dt 2 lw 1.5 lc rgb '#0072b2'", 2},
};

static const enum clnorm_operation operations[] = {CLNORM_FORWARD, CLNORM_INFER, CLNORM_BACKWARD};

/* The lower panel's kind. */
struct speeds {
    const struct curve *curves;
    size_t count;
    const char *label; /* of the axis */
    int sweep;         /* lines over an extent */
    int channels;      /* which one */
};

static struct speeds speeds_for(const char *const axis)
{
    if (strcmp(axis, "size") == 0)
        return (struct speeds){.curves = by_size, .count = ROWS(by_size), .label = "MiB a tensor"};
    const int channels = strcmp(axis, "channels") == 0;
    return (struct speeds){.curves = by_extent,
                           .count = ROWS(by_extent),
                           .label = channels ? "channels" : "spatial extent",
                           .sweep = 1,
                           .channels = channels};
}

static double place_of(const struct speeds *const kind, const struct bench_case *const one)
{
    if (!kind->sweep)
        return bench_tensor_bytes(one) / 1048576;
    return (double)(kind->channels ? one->problem.channels : one->problem.spatial);
}

static void print_curve(const struct bench_results *const results,
                        const struct bench_cases *const cases, const struct speeds *const kind,
                        const struct curve *const curve, const enum clnorm_operation operation,
                        FILE *const to)
{
    fprintf(to, "$speed_%s_%zu << END\n", clnorm_operation_name(operation),
            (size_t)(curve - kind->curves));
    for (size_t i = 0; i < cases->count; i++) {
        const struct bench_case *const one = &cases->items[i];
        const struct bench_result *const row =
            *curve->contestant ? bench_results_find(results, one, curve->contestant)
                               : bench_results_peer(results, one);
        if (row && one->problem.operation == operation &&
            curve->layouts & 1u << one->problem.layout)
            fprintf(to, "%.8g %.6g\n", place_of(kind, one), 1e-9 * row->bytes / row->times.median);
    }
    fprintf(to, "NaN NaN\nEND\n"); /* gnuplot refuses a block without a line */
}

/* A key as wide as the picture: of a plot of nothing, with the curves' styles. */
static void plot_key(const struct speeds *const kind, FILE *const to)
{
    fprintf(to, "unset border\nunset tics\nunset ylabel\nset yrange [0:1]\nset xrange [0:1]\n"
                "set key at screen 0.5,0.415 center top horizontal\nplot ");
    for (size_t k = 0; k < kind->count; k++)
        fprintf(to, "%sNaN with %s title '%s'", k ? ", " : "", kind->curves[k].style,
                kind->curves[k].title);
    fprintf(to, "\nunset key\nunset label 1\nset border 3\nset autoscale\n");
}

static void plot_speeds(const struct speeds *const kind, FILE *const to)
{
    fprintf(to, "set tmargin at screen 0.36\nset bmargin at screen 0.06\n"
                "set label 1 'GB/s, were each tensor moved once' at screen 0.5,0.435 center font "
                "',16'\n");
    plot_key(kind, to);
    fprintf(to,
            "set grid xtics ytics back lc rgb '#c0c0c0' lw 1 lt 1\nset logscale xy 2\n"
            "set xtics 4 norotate nomirror scale 0.5\nset ytics auto nomirror\n"
            "set format x '%%g'\nset format y '%%g'\nset xlabel '%s'\n",
            kind->label);
    for (size_t o = 0; o < ROWS(operations); o++) {
        const char *const name = clnorm_operation_name(operations[o]);
        fprintf(to, "set lmargin at screen %g\nset rmargin at screen %g\nset title '%s'\nplot ",
                LEFT + 0.32 * (double)o, LEFT + 0.32 * (double)o + 0.28, name);
        for (size_t k = 0; k < kind->count; k++)
            fprintf(to, "%s$speed_%s_%zu using 1:2 %s with %s", k ? ", " : "", name, k,
                    kind->sweep ? "smooth unique" : "", kind->curves[k].style);
        fprintf(to, "\n");
    }
}

/* ---- The picture ----------------------------------------------------------------------------- */

/* In single quotes gnuplot takes a quote for two. */
static void print_quoted(FILE *const to, const char *text)
{
    for (fputc('\'', to); *text; text++)
        fprintf(to, *text == '\'' ? "''" : "%c", *text);
    fprintf(to, "'\n");
}

static void print_script(const struct bench_results *const results,
                         const struct bench_cases *const cases, const char *const axis,
                         const char *const path, FILE *const to)
{
    const struct speeds kind = speeds_for(axis);
    const unsigned shapes = print_bars(results, cases, to);
    for (size_t o = 0; o < ROWS(operations); o++)
        for (size_t k = 0; k < kind.count; k++)
            print_curve(results, cases, &kind, &kind.curves[k], operations[o], to);
    const unsigned width = shapes < 28 ? 1400 : shapes > 72 ? 2800 : 280 + 40 * shapes;
    fprintf(to, "set terminal pngcairo size %u,1200 font 'sans,12' background 'white'\nset output ",
            width);
    print_quoted(to, path);
    fprintf(to,
            "set multiplot\nset border 2 lc rgb '#606060'\nset rmargin at screen 0.99\n"
            "set xtics textcolor rgb 'black'\n"
            "set ytics textcolor rgb 'black'\nset lmargin at screen %g\n",
            LEFT);
    plot_bars(to);
    plot_speeds(&kind, to);
    fprintf(to, "unset multiplot\nunset output\n");
}

int bench_plot_write(const struct bench_results *const results,
                     const struct bench_cases *const cases, const char *const axis,
                     const char *const path)
{
    FILE *const file = fopen(path, "w"); /* gnuplot's own message would name a line of a script */
    if (!file)
        return bench_fail(BENCH_FAILED, "--plot: %s: %s", path, strerror(errno));
    fclose(file);
    FILE *const to = popen("gnuplot", "w");
    if (to)
        print_script(results, cases, axis, path, to);
    if (!to || pclose(to) != 0)
        return bench_fail(BENCH_FAILED,
                          "--plot: gnuplot does not draw %s; is it installed "
                          "('apt install gnuplot-nox')?",
                          path);
    return BENCH_DONE;
}
