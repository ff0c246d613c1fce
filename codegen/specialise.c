#include "specialise.h"

#include <string.h>

#define MAX_NESTING 16

/* The state of one #if. */
struct branch {
    int parent; /* text around it is live */
    int taken;  /* a branch of it was live */
    int live;   /* this branch is */
};

struct specialiser {
    const struct clnorm__symbol *symbols; /* ends with a NULL name */
    struct clnorm__text *out;
    const char *error;
    struct branch branch[MAX_NESTING];
    unsigned depth;
    int files; /* open files, against include loops */
};

/* ---- Conditions: or := and ('||' and)*, and := unary ('&&' unary)*, unary := '!' unary | '(' or
 * ')' | name ---- */

struct condition {
    struct specialiser *in;
    const char *at;
};

static void skip_blanks(struct condition *c)
{
    while (*c->at == ' ')
        c->at++;
}

static int accept(struct condition *c, const char *token)
{
    skip_blanks(c);
    const size_t length = strlen(token);
    if (strncmp(c->at, token, length) != 0)
        return 0;
    c->at += length;
    return 1;
}

static int symbol_value(struct condition *c)
{
    skip_blanks(c);
    size_t length = 0;
    while (clnorm__is_word(c->at[length]))
        length++;
    for (const struct clnorm__symbol *s = c->in->symbols; s->name; s++)
        if (strlen(s->name) == length && strncmp(s->name, c->at, length) == 0) {
            c->at += length;
            return s->value;
        }
    c->in->error = "an #if names an unknown symbol";
    c->at += strcspn(c->at, "\n");
    return 0;
}

static int evaluate_or(struct condition *c);

static int evaluate_unary(struct condition *c)
{
    if (accept(c, "!"))
        return !evaluate_unary(c);
    if (!accept(c, "("))
        return symbol_value(c);
    const int value = evaluate_or(c);
    if (!accept(c, ")"))
        c->in->error = "an #if lacks a closing parenthesis";
    return value;
}

static int evaluate_and(struct condition *c)
{
    int value = evaluate_unary(c);
    while (accept(c, "&&"))
        value &= evaluate_unary(c);
    return value;
}

static int evaluate_or(struct condition *c)
{
    int value = evaluate_and(c);
    while (accept(c, "||"))
        value |= evaluate_and(c);
    return value;
}

static int evaluate(struct specialiser *in, const char *text)
{
    struct condition c = {.in = in, .at = text};
    const int value = evaluate_or(&c);
    skip_blanks(&c);
    if (*c.at != '\n' && !in->error)
        in->error = "an #if has something after its condition";
    return value;
}

/* ---- Directives ---- */

static int is_live(const struct specialiser *in)
{
    return in->depth == 0 || in->branch[in->depth - 1].live;
}

static void begin_if(struct specialiser *in, const char *condition)
{
    if (in->depth == MAX_NESTING) {
        in->error = "#if is nested too deeply";
        return;
    }
    const int parent = is_live(in);
    const int live = parent && evaluate(in, condition);
    in->branch[in->depth++] = (struct branch){.parent = parent, .taken = live, .live = live};
}

/* #elif with a condition, #else without. */
static void next_branch(struct specialiser *in, const char *condition)
{
    if (in->depth == 0) {
        in->error = "#else without #if";
        return;
    }
    struct branch *const b = &in->branch[in->depth - 1];
    b->live = b->parent && !b->taken && (!condition || evaluate(in, condition));
    b->taken |= b->live;
}

static void end_if(struct specialiser *in)
{
    if (in->depth == 0)
        in->error = "#endif without #if";
    else
        in->depth--;
}

static void emit_line(struct specialiser *in, const char *line, size_t length)
{
    const struct clnorm__text *const out = in->out;
    const int blank = length == 1;
    if (blank && out->length >= 2 && out->bytes[out->length - 1] == '\n' &&
        out->bytes[out->length - 2] == '\n')
        return;
    clnorm__text_append(in->out, line, length);
}

static void process_file(struct specialiser *in, const char *name, size_t length);

static void include(struct specialiser *in, const char *line)
{
    const char *const name = strchr(line, '"') + 1;
    process_file(in, name, strcspn(name, "\""));
}

static const char *after(const char *line, const char *word)
{
    const size_t length = strlen(word);
    return strncmp(line, word, length) == 0 ? line + length : NULL;
}

static void process_line(struct specialiser *in, const char *line, size_t length)
{
    const char *rest;
    if ((rest = after(line, "#if ")))
        begin_if(in, rest);
    else if ((rest = after(line, "#elif ")))
        next_branch(in, rest);
    else if (after(line, "#else"))
        next_branch(in, NULL);
    else if (after(line, "#endif"))
        end_if(in);
    else if (!is_live(in))
        return;
    else if (after(line, "#include \""))
        include(in, line);
    else
        emit_line(in, line, length);
}

static void process_file(struct specialiser *in, const char *name, size_t length)
{
    const struct clnorm__file *file = clnorm__files;
    while (file->name && (strlen(file->name) != length || strncmp(file->name, name, length) != 0))
        file++;
    if (!file->name || in->files == MAX_NESTING) {
        in->error = file->name ? "#include is nested too deeply" : "a kernel file is missing";
        return;
    }
    const unsigned depth = in->depth;
    in->files++;
    for (const char *line = file->text; *line && !in->error;) {
        const char *const newline = strchr(line, '\n');
        const char *const next = newline ? newline + 1 : line + strlen(line);
        process_line(in, line, (size_t)(next - line));
        line = next;
    }
    in->files--;
    if (in->depth != depth && !in->error)
        in->error = "#if without #endif";
}

const char *clnorm__specialise(const char *file, const struct clnorm__symbol *symbols,
                               struct clnorm__text *out)
{
    struct specialiser in = {.symbols = symbols, .out = out};
    process_file(&in, file, strlen(file));
    return in.error;
}
