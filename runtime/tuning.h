/*
 * Tuning: schedules found to be faster on this device than the default ones, by problem class. In
 * memory one table for each context, read once from the file `tuning.txt` in the cache directory.
 * tuning_text.c knows the lines, tuning_file.c the file, tuning.c the table.
 */
#ifndef CLNORM_RUNTIME_TUNING_H
#define CLNORM_RUNTIME_TUNING_H

#include <clnorm/clnorm.h>

/* ---- A line (tuning_text.c) ---- */

/* Whose result it is; as clnorm__tuning_names makes them. */
struct clnorm__tuning_names {
    char device[128], driver[128], platform[128];
};

struct clnorm__tuning_line {
    struct clnorm__tuning_names names;
    struct clnorm_problem problem; /* the representative of a class */
    struct clnorm_schedule schedule;
    double seconds;
};

enum clnorm__line_kind { CLNORM__LINE_EMPTY, CLNORM__LINE_ENTRY, CLNORM__LINE_DAMAGED };

/* Longest line, zero included; longer ones are damaged. */
#define CLNORM__TUNING_LINE_SIZE 1536

/* The names of a device without what separates fields in a line. */
struct clnorm__tuning_names clnorm__tuning_names(const struct clnorm_device *device);

int clnorm__tuning_names_same(const struct clnorm__tuning_names *a,
                              const struct clnorm__tuning_names *b);

/* Below, at and above 0 as a sorts before, with and after b. */
int clnorm__tuning_compare(const struct clnorm_problem *a, const struct clnorm_problem *b);

/* Reads the `length` bytes of a line without its end. Damaged: why, in reason[size]. */
enum clnorm__line_kind clnorm__tuning_parse(const char *text, size_t length,
                                            struct clnorm__tuning_line *line, char *reason,
                                            size_t size);

/* The line with its end; its length, without the zero. */
size_t clnorm__tuning_format(const struct clnorm__tuning_line *line,
                             char text[CLNORM__TUNING_LINE_SIZE]);

/* The comment a new file begins with. */
extern const char clnorm__tuning_header[];

/* ---- The file (tuning_file.c) ---- */

/*
 * Calls visit for each line of a text; it ends the walk by returning other than 0. `line` means
 * something for entries only, `reason` for damaged ones.
 */
struct clnorm__tuning_item {
    unsigned number;   /* of the line, from 1 */
    const char *start; /* in the text; with its end */
    size_t length;
    enum clnorm__line_kind kind;
    const struct clnorm__tuning_line *line;
    const char *reason;
};
void clnorm__tuning_walk(const char *text,
                         int (*visit)(void *user, const struct clnorm__tuning_item *item),
                         void *user);

/*
 * The file's text, malloc'd; NULL when there is no file or it cannot be used: then reason[size]
 * says why, and is "" when there is none. A missing directory has no file.
 */
char *clnorm__tuning_read(const char *directory, char *reason, size_t size);

/*
 * Rewrites the file: without the entries for names and problem class, and with `line` (NULL: none)
 * for them. All other lines stay as they are. The file is read anew just before. 0 with a reason
 * when it could not be done; the file is then as it was. *removed (may be NULL) counts entries.
 */
int clnorm__tuning_rewrite(const char *directory, const struct clnorm__tuning_names *names,
                           const struct clnorm_problem *problem,
                           const struct clnorm__tuning_line *line, size_t *removed, char *reason,
                           size_t size);

/* ---- The table (tuning.c) ---- */

struct clnorm__tuning;
struct clnorm_context;

/* The table of a device; nothing is read yet. directory NULL: in memory only. Copied. NULL: out of
 * memory. */
struct clnorm__tuning *clnorm__tuning_open(const struct clnorm_device *device,
                                           const char *directory);
void clnorm__tuning_close(struct clnorm__tuning *tuning); /* NULL: no-op */

/*
 * 1 and a schedule that is legal for a checked problem and fits the device, when there is one. A
 * NULL table has none; seconds may be NULL.
 */
int clnorm__tuning_find(struct clnorm__tuning *tuning, const struct clnorm_problem *problem,
                        const struct clnorm_target *target, struct clnorm_schedule *schedule,
                        double *seconds);

struct clnorm__tuning_counters {
    uint64_t hits, ignored;
};
struct clnorm__tuning_counters clnorm__tuning_counters(struct clnorm__tuning *tuning);

#endif
