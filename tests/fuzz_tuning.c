/* libFuzzer: any line of a tuning file is empty, an entry whose text is the same entry, or refused
 * with a reason. */
#include <stdlib.h>
#include <string.h>

#include "tuning.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static const char prefix[] = "d | 1 | p | ";
    char *const text = malloc(size + sizeof prefix);
    char line_text[CLNORM__TUNING_LINE_SIZE], reason[256] = "";
    struct clnorm__tuning_line line, again;
    if (!text)
        return 0;
    /* Half of the inputs start behind the names, which any text can be. */
    const size_t skip = size % 2 ? sizeof prefix - 1 : 0;
    memcpy(text, prefix, skip);
    memcpy(text + skip, data, size);
    const enum clnorm__line_kind kind =
        clnorm__tuning_parse(text, skip + size, &line, reason, sizeof reason);
    if (kind == CLNORM__LINE_ENTRY) {
        const size_t length = clnorm__tuning_format(&line, line_text);
        if (length >= sizeof line_text ||
            clnorm__tuning_parse(line_text, length - 1, &again, reason, sizeof reason) != kind ||
            !clnorm__tuning_names_same(&line.names, &again.names) ||
            clnorm__tuning_compare(&line.problem, &again.problem) != 0 ||
            !clnorm_schedule_same(&line.schedule, &again.schedule))
            abort();
    } else if (kind == CLNORM__LINE_DAMAGED && reason[0] == 0) {
        abort();
    }
    free(text);
    return 0;
}
