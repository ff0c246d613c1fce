/* emit_text PROBLEM WALK FILE: writes the kernels of a problem, split over launches, to FILE. */
#include <stdio.h>

#include "addresses.h"

static int write_file(const char *path, const struct clnorm_source *source)
{
    FILE *const file = fopen(path, "w");
    if (!file)
        return 0;
    const int written = fwrite(source->text, 1, source->length, file) == source->length;
    return fclose(file) == 0 && written;
}

int main(int count, char **arguments)
{
    struct clnorm_problem problem;
    struct clnorm_schedule schedule;
    struct clnorm_source source;
    char message[256];
    if (count != 4) {
        fprintf(stderr, "usage: emit_text PROBLEM serial|tile|group|pipeline FILE\n");
        return 2;
    }
    if (!address_schedule(arguments[1], arguments[2], &problem, &schedule))
        return 1;
    if (clnorm_source_emit(&problem, &schedule, &source, message, sizeof message) != CLNORM_OK) {
        fprintf(stderr, "emit_text: %s\n", message);
        return 1;
    }
    const int written = write_file(arguments[3], &source);
    if (!written)
        fprintf(stderr, "emit_text: cannot write %s\n", arguments[3]);
    clnorm_source_free(&source);
    return !written;
}
