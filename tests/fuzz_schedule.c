/* libFuzzer: any text either parses to a schedule whose text parses to the same schedule, or is
 * refused with a line. */
#include <stdlib.h>
#include <string.h>

#include <clnorm/codegen.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    char *const text = malloc(size + 1);
    char canonical[CLNORM_SCHEDULE_TEXT_SIZE], message[256] = "";
    struct clnorm_schedule schedule, again;
    if (!text)
        return 0;
    memcpy(text, data, size);
    text[size] = 0;
    if (clnorm_schedule_parse(text, &schedule, message, sizeof message) == CLNORM_OK) {
        clnorm_schedule_format(&schedule, canonical);
        if (clnorm_schedule_parse(canonical, &again, message, sizeof message) != CLNORM_OK ||
            !clnorm_schedule_same(&schedule, &again))
            abort();
    } else if (message[0] == 0) {
        abort();
    }
    free(text);
    return 0;
}
