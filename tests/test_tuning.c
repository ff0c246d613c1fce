/*
 * Tuning: entries kept, reloaded and used by plans; lines and files that are damaged, foreign or
 * not to be trusted; several writers.
 */
#define _POSIX_C_SOURCE 200809L

#include "store_fixture.h"

#include <sys/wait.h>

#include "tuning.h"

enum { WRITERS = 6, ROUNDS = 15 };

static struct clnorm_context *open_context(const char *directory)
{
    char message[256] = "";
    struct clnorm_context *context = NULL;
    const struct clnorm_context_options options = {
        .size = sizeof options,
        .device_selector = getenv("CLNORM_TEST_DEVICE"),
        .cache_directory = directory,
    };
    if (clnorm_context_create(&options, &context, message, sizeof message) != CLNORM_OK)
        fail_msg("%s", message);
    return context;
}

static struct clnorm_problem problem_of(const char *text)
{
    struct clnorm_problem problem;
    assert_int_equal(clnorm_problem_parse(text, &problem, NULL, 0), CLNORM_OK);
    return problem;
}

/* The plain row of the table with another number of parts: legal for any problem. */
static struct clnorm_schedule schedule_with(const struct clnorm_problem *problem, uint32_t parts)
{
    struct clnorm_schedule schedule = {.lanes = 0};
    const struct clnorm_target target = clnorm_target_default(CLNORM_KIND_CPU);
    for (unsigned i = 0; clnorm_schedule_choose(problem, &target, i, &schedule); i++)
        continue;
    assert_string_equal(schedule.name, "plain");
    snprintf(schedule.name, sizeof schedule.name, "mine");
    schedule.parts = parts;
    return schedule;
}

static void set(struct clnorm_context *context, const char *text, uint32_t parts)
{
    const struct clnorm_problem problem = problem_of(text);
    const struct clnorm_schedule schedule = schedule_with(&problem, parts);
    if (clnorm_tuning_set(context, &problem, &schedule, 1e-6 * parts) != CLNORM_OK) {
        char detail[512];
        clnorm_context_error(context, detail, sizeof detail);
        fail_msg("%s", detail);
    }
}

/* The parts of the schedule tuning has for a problem; 0 when it has none. */
static uint32_t get(struct clnorm_context *context, const char *text)
{
    const struct clnorm_problem problem = problem_of(text);
    struct clnorm_schedule schedule;
    return clnorm_tuning_get(context, &problem, &schedule, NULL) ? schedule.parts : 0;
}

/* The same through a new context, which reads the file. */
static uint32_t get_anew(const char *directory, const char *text)
{
    struct clnorm_context *const context = open_context(directory);
    const uint32_t parts = get(context, text);
    clnorm_context_release(context);
    return parts;
}

static void tuning_path(char path[PATH_SIZE], const struct fixture *fixture)
{
    path_of(path, fixture->directory, "tuning.txt");
}

static char *read_file(const struct fixture *fixture)
{
    char path[PATH_SIZE];
    size_t size;
    tuning_path(path, fixture);
    char *const text = (char *)read_bytes(path, &size);
    text[size] = 0;
    return text;
}

static void write_file(const struct fixture *fixture, const char *text)
{
    char path[PATH_SIZE];
    tuning_path(path, fixture);
    (void)mkdir(fixture->directory, 0700);
    write_bytes(path, text, strlen(text));
}

/* The line that a context of this device would write. */
static void line_of(struct clnorm_context *context, const char *text, uint32_t parts,
                    char line_text[CLNORM__TUNING_LINE_SIZE])
{
    const struct clnorm_problem problem = problem_of(text);
    struct clnorm__tuning_line line = {
        .names = clnorm__tuning_names(clnorm_context_device(context)),
        .schedule = schedule_with(&problem, parts),
        .seconds = 0.25,
    };
    clnorm_problem_class(&problem, &line.problem);
    assert_in_range(clnorm__tuning_format(&line, line_text), 1, CLNORM__TUNING_LINE_SIZE - 1);
}

struct counts {
    unsigned entries, ignored, last_ignored;
    char reason[256];
};

static int count(void *user, const struct clnorm_tuning_entry *entry)
{
    struct counts *const counts = user;
    if (!entry->ignored) {
        assert_non_null(entry->schedule);
        assert_true(entry->line > 0);
        counts->entries++;
        return 0;
    }
    assert_null(entry->schedule);
    counts->ignored++;
    counts->last_ignored = entry->line;
    snprintf(counts->reason, sizeof counts->reason, "%s", entry->ignored);
    return 0;
}

static struct counts visit(const struct fixture *fixture)
{
    struct counts counts = {.entries = 0};
    assert_int_equal(clnorm_tuning_visit(fixture->directory, count, &counts), CLNORM_OK);
    return counts;
}

/* ---- Keeping ---- */

static void set_is_kept_for_the_class(void **state)
{
    const struct fixture *const fixture = *state;
    struct clnorm_context *const context = open_context(fixture->directory);
    set(context, "infer nchw f32 3x4x5x5 +scale", 7);
    assert_int_equal(get(context, "infer nchw f32 4x4x32 +shift"), 7);
    assert_int_equal(get(context, "infer nchw f32 4x4x32 +relu"), 0);
    assert_int_equal(get(context, "infer nchw f32 8x4x32"), 0);
    assert_int_equal(get(context, "infer nchw f32 ?x4x32"), 0);
    assert_int_equal(get(context, "infer nhwc f32 4x4x32"), 0);
    set(context, "infer nchw f32 4x4x32", 8); /* replaces it */
    set(context, "infer nchw f32 4x5x32", 9);
    assert_int_equal(get(context, "infer nchw f32 4x4x32"), 8);
    clnorm_context_release(context);

    assert_int_equal(get_anew(fixture->directory, "infer nchw f32 4x4x32"), 8);
    assert_int_equal(get_anew(fixture->directory, "infer nchw f32 4x5x32"), 9);
    const struct counts counts = visit(fixture);
    assert_int_equal(counts.entries, 2);
    assert_int_equal(counts.ignored, 0);
    assert_int_equal(count_files(fixture->directory, ".tmp"), 0);
}

static void many_classes_are_found(void **state)
{
    const struct fixture *const fixture = *state;
    struct clnorm_context *const context = open_context("");
    char text[64];
    for (uint32_t i = 0; i < 300; i++) { /* 7 and 300 have no common factor: any order */
        snprintf(text, sizeof text, "infer nchw f32 4x%ux32", (unsigned)(1 + i * 7 % 300));
        set(context, text, 1 + i * 7 % 300);
    }
    for (uint32_t i = 1; i <= 300; i++) {
        snprintf(text, sizeof text, "infer nchw f32 4x%ux32", (unsigned)i);
        assert_int_equal(get(context, text), i);
    }
    const struct clnorm_problem gone = problem_of("infer nchw f32 4x17x32");
    assert_int_equal(clnorm_tuning_remove(context, &gone), CLNORM_OK);
    assert_int_equal(get(context, "infer nchw f32 4x17x32"), 0);
    assert_int_equal(get(context, "infer nchw f32 4x16x32"), 16);
    assert_int_equal(get(context, "infer nchw f32 4x18x32"), 18);
    clnorm_context_release(context);
    assert_false(exists(fixture->directory)); /* without a disk cache nothing is written */
}

static void remove_takes_out_one_class(void **state)
{
    const struct fixture *const fixture = *state;
    struct clnorm_context *const context = open_context(fixture->directory);
    const struct clnorm_problem problem = problem_of("infer nchw f32 4x4x32");
    assert_int_equal(clnorm_tuning_remove(context, &problem), CLNORM_OK); /* nothing there */
    assert_false(exists(fixture->directory));
    set(context, "infer nchw f32 4x4x32", 8);
    set(context, "infer nchw f32 4x5x32", 9);
    assert_int_equal(clnorm_tuning_remove(context, &problem), CLNORM_OK);
    assert_int_equal(get(context, "infer nchw f32 4x4x32"), 0);
    clnorm_context_release(context);
    assert_int_equal(get_anew(fixture->directory, "infer nchw f32 4x4x32"), 0);
    assert_int_equal(get_anew(fixture->directory, "infer nchw f32 4x5x32"), 9);
}

static void clear_removes_the_file(void **state)
{
    const struct fixture *const fixture = *state;
    size_t removed = 77;
    char path[PATH_SIZE];
    tuning_path(path, fixture);
    assert_int_equal(clnorm_tuning_clear(fixture->directory, &removed), CLNORM_OK);
    struct clnorm_context *const context = open_context(fixture->directory);
    set(context, "infer nchw f32 4x4x32", 8);
    clnorm_context_release(context);
    assert_int_equal(clnorm_cache_clear(fixture->directory, NULL), CLNORM_OK);
    assert_true(exists(path)); /* not a program */
    assert_int_equal(clnorm_tuning_clear(fixture->directory, &removed), CLNORM_OK);
    assert_int_equal(removed, 1);
    assert_false(exists(path));
    assert_int_equal(clnorm_tuning_clear("relative", NULL), CLNORM_INVALID_ARGUMENT);
    assert_int_equal(clnorm_tuning_visit("relative", count, NULL), CLNORM_INVALID_ARGUMENT);
    assert_int_equal(clnorm_tuning_visit(fixture->directory, NULL, NULL), CLNORM_INVALID_ARGUMENT);
}

static void bad_calls_change_nothing(void **state)
{
    const struct fixture *const fixture = *state;
    struct clnorm_context *const context = open_context(fixture->directory);
    struct clnorm_problem problem = problem_of("infer nchw f32 4x4x32");
    struct clnorm_schedule schedule = schedule_with(&problem, 8);
    assert_int_equal(clnorm_tuning_set(NULL, &problem, &schedule, 1), CLNORM_INVALID_ARGUMENT);
    assert_int_equal(clnorm_tuning_set(context, NULL, &schedule, 1), CLNORM_INVALID_ARGUMENT);
    assert_int_equal(clnorm_tuning_set(context, &problem, NULL, 1), CLNORM_INVALID_ARGUMENT);
    assert_int_equal(clnorm_tuning_set(context, &problem, &schedule, -1), CLNORM_INVALID_ARGUMENT);
    assert_int_equal(clnorm_tuning_set(context, &problem, &schedule, strtod("nan", NULL)),
                     CLNORM_INVALID_ARGUMENT);
    schedule.lanes = 3;
    assert_int_equal(clnorm_tuning_set(context, &problem, &schedule, 1), CLNORM_INVALID_ARGUMENT);
    problem.channels = 0;
    assert_int_equal(clnorm_tuning_remove(context, &problem), CLNORM_INVALID_ARGUMENT);
    assert_int_equal(clnorm_tuning_get(context, &problem, &schedule, NULL), 0);
    clnorm_context_release(context);
    assert_false(exists(fixture->directory));
}

/* ---- Use by plans ---- */

/* The parts of the schedule a plan made without one has. */
static uint32_t planned_parts(struct clnorm_context *context, const struct clnorm_problem *problem)
{
    struct clnorm_plan *plan;
    assert_int_equal(clnorm_plan_create(context, problem, NULL, &plan), CLNORM_OK);
    const struct clnorm_schedule schedule = *clnorm_plan_schedule(plan);
    clnorm_plan_release(plan);
    return strcmp(schedule.name, "mine") == 0 ? schedule.parts : 0;
}

static void plans_use_tuning(void **state)
{
    const struct fixture *const fixture = *state;
    const struct clnorm_problem problem = problem_of("infer nchw f32 2x4x8");
    struct clnorm_context *context = open_context(fixture->directory);
    assert_int_equal(planned_parts(context, &problem), 0);
    set(context, "infer nchw f32 2x4x8", 11);
    assert_int_equal(planned_parts(context, &problem), 11); /* at once */
    clnorm_context_release(context);

    context = open_context(fixture->directory);
    assert_int_equal(planned_parts(context, &problem), 11);
    assert_int_equal(clnorm_context_statistics(context).tuning_hits, 1);
    struct clnorm_schedule own = schedule_with(&problem, 12);
    const struct clnorm_plan_options options = {.size = sizeof options, .schedule = &own};
    struct clnorm_plan *plan;
    assert_int_equal(clnorm_plan_create(context, &problem, &options, &plan), CLNORM_OK);
    assert_int_equal(clnorm_plan_schedule(plan)->parts, 12); /* the caller's goes first */
    clnorm_plan_release(plan);
    assert_int_equal(clnorm_context_statistics(context).tuning_hits, 1);
    clnorm_context_release(context);
}

static void other_kinds_have_no_tuning(void **state)
{
    const struct fixture *const fixture = *state;
    const struct clnorm_problem problem = problem_of("infer nchw f32 2x4x8");
    struct clnorm_context *context = open_context(fixture->directory);
    set(context, "infer nchw f32 2x4x8", 11);
    clnorm_context_release(context);
    const struct clnorm_context_options options = {
        .size = sizeof options, .cache_directory = fixture->directory, .kind = CLNORM_KIND_CPU};
    assert_int_equal(clnorm_context_create(&options, &context, NULL, 0), CLNORM_OK);
    const struct clnorm_schedule schedule = schedule_with(&problem, 8);
    assert_int_equal(planned_parts(context, &problem), 0);
    assert_int_equal(clnorm_tuning_set(context, &problem, &schedule, 1), CLNORM_INVALID_ARGUMENT);
    clnorm_context_release(context);
}

/* A schedule may be legal for one problem of a class, and not for another. */
static void illegal_ones_give_way_to_the_default(void **state)
{
    const struct fixture *const fixture = *state;
    struct clnorm_context *const context = open_context(fixture->directory);
    const struct clnorm_problem even = problem_of("infer nchw f32 2x4x16");
    const struct clnorm_problem odd = problem_of("infer nchw f32 2x4x17");
    struct clnorm_schedule vector = schedule_with(&even, 8);
    vector.walk = CLNORM_WALK_GROUP;
    vector.lanes = 4;
    vector.group = 8;
    vector.tile = 1;
    assert_int_equal(clnorm_schedule_check(&vector, &even, NULL, 0), CLNORM_OK);
    assert_int_not_equal(clnorm_schedule_check(&vector, &odd, NULL, 0), CLNORM_OK);
    assert_int_equal(clnorm_tuning_set(context, &even, &vector, 1), CLNORM_OK);
    assert_int_equal(get(context, "infer nchw f32 2x4x16"), 8);
    assert_int_equal(clnorm_context_statistics(context).tuning_ignored, 0);
    assert_int_equal(planned_parts(context, &odd), 0);
    assert_int_equal(clnorm_context_statistics(context).tuning_ignored, 1);
    clnorm_context_release(context);
}

/* ---- Lines ---- */

static void lines_survive_any_values(void **state)
{
    (void)state;
    const struct clnorm_problem problem = problem_of("backward-frozen nhwc bf16 ?x2147483647x? "
                                                     "+scale +shift +add +relu +adam");
    struct clnorm__tuning_line line = {.schedule = schedule_with(&problem, 8)}, again;
    struct clnorm_device device = {.platform_name = "  p|q#r \t", .driver = ""};
    char text[CLNORM__TUNING_LINE_SIZE], reason[256];
    memset(device.device_name, '|', sizeof device.device_name - 1);
    line.names = clnorm__tuning_names(&device);
    assert_string_equal(line.names.platform, "p_q_r");
    clnorm_problem_class(&problem, &line.problem);
    static const double seconds[] = {0, 1e-9, 0.000123456, 1.5, 86400, 999999999};
    for (size_t i = 0; i < sizeof seconds / sizeof *seconds; i++) {
        line.seconds = seconds[i];
        const size_t length = clnorm__tuning_format(&line, text);
        assert_in_range(length, 1, sizeof text - 1);
        assert_int_equal(text[length - 1], '\n');
        assert_int_equal(clnorm__tuning_parse(text, length - 1, &again, reason, sizeof reason),
                         CLNORM__LINE_ENTRY);
        assert_true(clnorm__tuning_names_same(&line.names, &again.names));
        assert_int_equal(clnorm__tuning_compare(&line.problem, &again.problem), 0);
        assert_true(clnorm_schedule_same(&line.schedule, &again.schedule));
        const double ulp = 1e-9 + 4e-16 * seconds[i];
        assert_true(again.seconds > seconds[i] - ulp && again.seconds < seconds[i] + ulp);
    }
}

/* Damaged lines are told with their numbers, cost nothing else, and stay for people to mend. */
static void damaged_lines_are_ignored(void **state)
{
    const struct fixture *const fixture = *state;
    struct clnorm_context *context = open_context(fixture->directory);
    char good[CLNORM__TUNING_LINE_SIZE], text[8192];
    line_of(context, "infer nchw f32 4x4x32", 8, good);
    const char *const bar = strrchr(good, '|');
    static const char *const damaged[] = {
        "no bars at all",
        "a | b | c | infer nchw f32 4x4x32 | mine: walk=serial | 1 s",
        "a | b | c | infer nchw f33 4x4x32 | x | 1 s",
        "a | b | c | d | e | f | g",
        "||||||",
        "\x01\x02\xff",
    };
    for (size_t i = 0; i < sizeof damaged / sizeof *damaged; i++) {
        snprintf(text, sizeof text, "# comment\n\n%s\n%s", damaged[i], good);
        write_file(fixture, text);
        const struct counts counts = visit(fixture);
        assert_int_equal(counts.entries, 1);
        assert_int_equal(counts.ignored, 1);
        assert_int_equal(counts.last_ignored, 3);
        assert_int_not_equal(counts.reason[0], 0);
    }
    static const char *const times[] = {"", "s", "1", "1 m", "-1 s", "1e3 s", "0x1 s", ". s"};
    for (size_t i = 0; i < sizeof times / sizeof *times; i++) {
        snprintf(text, sizeof text, "%.*s| %s\n", (int)(bar - good), good, times[i]);
        write_file(fixture, text);
        assert_int_equal(visit(fixture).ignored, 1);
    }
    clnorm_context_release(context);

    snprintf(text, sizeof text, "%s\nbroken | line\n%s", damaged[0], good);
    write_file(fixture, text);
    context = open_context(fixture->directory);
    assert_int_equal(get(context, "infer nchw f32 4x4x32"), 8);
    assert_int_equal(clnorm_context_statistics(context).tuning_ignored, 2);
    set(context, "infer nchw f32 4x5x32", 9);
    clnorm_context_release(context);
    char *const now = read_file(fixture);
    assert_memory_equal(now, text, strlen(text)); /* the new line follows */
    free(now);
}

static void a_line_too_long_is_ignored(void **state)
{
    const struct fixture *const fixture = *state;
    char *const text = malloc(100001);
    assert_non_null(text);
    memset(text, 'x', 100000);
    text[100000] = 0;
    write_file(fixture, text);
    assert_int_equal(visit(fixture).ignored, 1);
    free(text);
}

/* What people do to a file: blanks, comments, other extents of the class, DOS line ends, a last
 * line without an end, the same class twice. */
static void edited_lines_are_understood(void **state)
{
    const struct fixture *const fixture = *state;
    struct clnorm_context *context = open_context(fixture->directory);
    char line[CLNORM__TUNING_LINE_SIZE], other[CLNORM__TUNING_LINE_SIZE], text[8192];
    line_of(context, "infer nchw f32 4x4x32", 8, line);
    line_of(context, "infer nchw f32 4x5x32", 9, other);
    clnorm_context_release(context);
    char *const class_text = strstr(line, "4x4x32");
    assert_non_null(class_text);
    line[strlen(line) - 1] = 0;
    other[strlen(other) - 1] = 0;
    memcpy(class_text, "3x4x33", 6);
    snprintf(text, sizeof text, "%s # first\r\n   %s", line, other);
    write_file(fixture, text);
    assert_int_equal(get_anew(fixture->directory, "infer nchw f32 4x4x32"), 8);
    assert_int_equal(get_anew(fixture->directory, "infer nchw f32 4x5x32"), 9);

    context = open_context(fixture->directory);
    set(context, "infer nchw f32 4x4x32", 10); /* in place of the edited line */
    clnorm_context_release(context);
    assert_int_equal(visit(fixture).entries, 2);
    assert_int_equal(visit(fixture).ignored, 0);
    assert_int_equal(get_anew(fixture->directory, "infer nchw f32 4x5x32"), 9);

    char *const now = read_file(fixture);
    snprintf(text, sizeof text, "%s%s\n", now, line); /* the later one counts */
    free(now);
    write_file(fixture, text);
    assert_int_equal(get_anew(fixture->directory, "infer nchw f32 4x4x32"), 8);
}

static void entries_of_other_devices_are_kept_but_not_used(void **state)
{
    const struct fixture *const fixture = *state;
    struct clnorm_context *context = open_context(fixture->directory);
    char line[CLNORM__TUNING_LINE_SIZE], text[8192];
    line_of(context, "infer nchw f32 4x4x32", 8, line);
    snprintf(text, sizeof text, "other %s", line);
    write_file(fixture, text);
    assert_int_equal(get(context, "infer nchw f32 4x4x32"), 0);
    assert_int_equal(clnorm_context_statistics(context).tuning_ignored, 0);
    set(context, "infer nchw f32 4x4x32", 9);
    clnorm_context_release(context);
    assert_int_equal(get_anew(fixture->directory, "infer nchw f32 4x4x32"), 9);
    char *const now = read_file(fixture);
    assert_memory_equal(now, text, strlen(text));
    free(now);
    /* Another driver makes other binaries. */
    const char *const first = strchr(line, '|') + 2, *const second = strchr(first, '|');
    snprintf(text, sizeof text, "%.*sother %s", (int)(first - line), line, second);
    write_file(fixture, text);
    assert_int_equal(visit(fixture).entries, 1);
    assert_int_equal(get_anew(fixture->directory, "infer nchw f32 4x4x32"), 0);
}

/* ---- Files that are not used ---- */

/* Told as a whole, not used, not overwritten. */
static void expect_untouchable(const struct fixture *fixture, const char *why)
{
    struct clnorm_context *const context = open_context(fixture->directory);
    const struct clnorm_problem problem = problem_of("infer nchw f32 4x4x32");
    const struct clnorm_schedule schedule = schedule_with(&problem, 8);
    char detail[1024];
    assert_int_equal(get(context, "infer nchw f32 4x4x32"), 0);
    assert_int_equal(clnorm_context_statistics(context).tuning_ignored, 1);
    assert_int_equal(clnorm_tuning_set(context, &problem, &schedule, 1), CLNORM_IO_FAILED);
    clnorm_context_error(context, detail, sizeof detail);
    assert_non_null(strstr(detail, why));
    assert_null(strchr(detail, '\n'));
    assert_int_equal(get(context, "infer nchw f32 4x4x32"), 0); /* nothing was changed */
    clnorm_context_release(context);
    const struct counts counts = visit(fixture);
    assert_int_equal(counts.entries, 0);
    assert_int_equal(counts.ignored, 1);
    assert_int_equal(counts.last_ignored, 0);
    assert_non_null(strstr(counts.reason, why));
}

static void write_good_file(const struct fixture *fixture)
{
    struct clnorm_context *const context = open_context(fixture->directory);
    set(context, "infer nchw f32 4x4x32", 8);
    clnorm_context_release(context);
    assert_int_equal(visit(fixture).entries, 1);
}

static void files_others_can_write_are_not_used(void **state)
{
    const struct fixture *const fixture = *state;
    char path[PATH_SIZE];
    tuning_path(path, fixture);
    write_good_file(fixture);
    static const mode_t modes[] = {0620, 0602};
    for (size_t i = 0; i < sizeof modes / sizeof *modes; i++) {
        assert_int_equal(chmod(path, modes[i]), 0);
        expect_untouchable(fixture, "others cannot write to");
    }
    assert_int_equal(chmod(path, 0644), 0);
    assert_int_equal(get_anew(fixture->directory, "infer nchw f32 4x4x32"), 8);
    assert_int_equal(chmod(fixture->directory, 0770), 0);
    expect_untouchable(fixture, "not yours alone");
    assert_int_equal(chmod(fixture->directory, 0700), 0);
}

static void links_are_not_followed(void **state)
{
    const struct fixture *const fixture = *state;
    char path[PATH_SIZE], elsewhere[PATH_SIZE];
    tuning_path(path, fixture);
    path_of(elsewhere, fixture->root, "elsewhere.txt");
    write_good_file(fixture);
    assert_int_equal(rename(path, elsewhere), 0);
    assert_int_equal(symlink(elsewhere, path), 0);
    expect_untouchable(fixture, "no link");
    assert_true(exists(elsewhere));
    assert_int_equal(unlink(path), 0);
    assert_int_equal(mkdir(path, 0700), 0);
    expect_untouchable(fixture, "plain text file");
    assert_int_equal(rmdir(path), 0);
    assert_int_equal(mkfifo(path, 0600), 0);
    expect_untouchable(fixture, "plain text file"); /* and does not wait for a writer */
}

static void files_that_are_no_text_are_not_used(void **state)
{
    const struct fixture *const fixture = *state;
    const size_t size = ((size_t)1 << 20) + 1;
    char path[PATH_SIZE];
    tuning_path(path, fixture);
    char *const text = malloc(size);
    assert_non_null(text);
    memset(text, '\n', size);
    assert_int_equal(mkdir(fixture->directory, 0700), 0);
    write_bytes(path, text, size);
    expect_untouchable(fixture, "at most 1 MiB");
    write_bytes(path, text, size - 1);
    assert_int_equal(visit(fixture).ignored, 0);
    text[100] = 0;
    write_bytes(path, text, 200);
    expect_untouchable(fixture, "plain text file");
    free(text);
}

static void an_empty_file_is_as_none(void **state)
{
    const struct fixture *const fixture = *state;
    assert_int_equal(visit(fixture).ignored, 0); /* no directory */
    write_file(fixture, "");
    assert_int_equal(get_anew(fixture->directory, "infer nchw f32 4x4x32"), 0);
    assert_int_equal(visit(fixture).ignored, 0);
    write_good_file(fixture);
    assert_int_equal(get_anew(fixture->directory, "infer nchw f32 4x4x32"), 8);
}

/* ---- Several writers ---- */

/* Children use no OpenCL: it does not survive a fork. 0 when all went well. */
static int write_rounds(const char *directory, unsigned self)
{
    const struct clnorm__tuning_names names = {.device = "d", .driver = "1", .platform = "p"};
    struct clnorm__tuning_line line = {.names = names, .seconds = 1};
    struct clnorm_problem problem;
    const struct clnorm_target target = clnorm_target_default(CLNORM_KIND_CPU);
    char text[64], reason[256];
    for (unsigned i = 0; i < ROUNDS; i++) {
        snprintf(text, sizeof text, "infer nchw f32 4x%ux32", self * ROUNDS + i + 1);
        if (clnorm_problem_parse(text, &problem, NULL, 0) != CLNORM_OK)
            return 1;
        clnorm_problem_class(&problem, &line.problem);
        (void)clnorm_schedule_choose(&problem, &target, 0, &line.schedule);
        if (!clnorm__tuning_rewrite(directory, &names, &line.problem, &line, NULL, reason,
                                    sizeof reason))
            return 2;
    }
    return 0;
}

static void several_writers_leave_a_sound_file(void **state)
{
    const struct fixture *const fixture = *state;
    pid_t children[WRITERS];
    for (unsigned i = 0; i < WRITERS; i++) {
        children[i] = fork();
        assert_true(children[i] >= 0);
        if (children[i] == 0)
            _exit(write_rounds(fixture->directory, i));
    }
    for (unsigned i = 0; i < 50; i++)
        assert_int_equal(visit(fixture).ignored, 0); /* never half a line */
    for (unsigned i = 0; i < WRITERS; i++) {
        int status = 0;
        assert_int_equal(waitpid(children[i], &status, 0), children[i]);
        assert_true(WIFEXITED(status));
        assert_int_equal(WEXITSTATUS(status), 0);
    }
    const struct counts counts = visit(fixture);
    assert_int_equal(counts.ignored, 0);
    assert_in_range(counts.entries, ROUNDS, WRITERS * ROUNDS);
    assert_int_equal(count_files(fixture->directory, ".tmp"), 0);
}

/* What another process stored since this one read the file is not lost. */
static void writers_read_before_they_write(void **state)
{
    const struct fixture *const fixture = *state;
    struct clnorm_context *const one = open_context(fixture->directory);
    struct clnorm_context *const two = open_context(fixture->directory);
    assert_int_equal(get(one, "infer nchw f32 4x4x32"), 0); /* both have read it now */
    assert_int_equal(get(two, "infer nchw f32 4x4x32"), 0);
    set(one, "infer nchw f32 4x4x32", 8);
    set(two, "infer nchw f32 4x5x32", 9);
    clnorm_context_release(one);
    clnorm_context_release(two);
    assert_int_equal(get_anew(fixture->directory, "infer nchw f32 4x4x32"), 8);
    assert_int_equal(get_anew(fixture->directory, "infer nchw f32 4x5x32"), 9);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        STORE_TEST(several_writers_leave_a_sound_file), /* before OpenCL makes threads */
        STORE_TEST(set_is_kept_for_the_class),
        STORE_TEST(many_classes_are_found),
        STORE_TEST(remove_takes_out_one_class),
        STORE_TEST(clear_removes_the_file),
        STORE_TEST(bad_calls_change_nothing),
        STORE_TEST(plans_use_tuning),
        STORE_TEST(other_kinds_have_no_tuning),
        STORE_TEST(illegal_ones_give_way_to_the_default),
        STORE_TEST(lines_survive_any_values),
        STORE_TEST(damaged_lines_are_ignored),
        STORE_TEST(a_line_too_long_is_ignored),
        STORE_TEST(edited_lines_are_understood),
        STORE_TEST(entries_of_other_devices_are_kept_but_not_used),
        STORE_TEST(files_others_can_write_are_not_used),
        STORE_TEST(links_are_not_followed),
        STORE_TEST(files_that_are_no_text_are_not_used),
        STORE_TEST(an_empty_file_is_as_none),
        STORE_TEST(writers_read_before_they_write),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
