/* libFuzzer: any text either parses to a problem whose canonical text parses to the same problem,
 * or is refused with a line. */
#include <stdlib.h>
#include <string.h>

#include <clnorm/codegen.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    char *const text = malloc(size + 1);
    char canonical[CLNORM_PROBLEM_TEXT_SIZE], message[256] = "";
    struct clnorm_problem problem, again;
    if (!text)
        return 0;
    memcpy(text, data, size);
    text[size] = 0;
    if (clnorm_problem_parse(text, &problem, message, sizeof message) == CLNORM_OK) {
        clnorm_problem_format(&problem, canonical);
        if (clnorm_problem_parse(canonical, &again, message, sizeof message) != CLNORM_OK ||
            memcmp(&problem, &again, sizeof problem) != 0)
            abort();
    } else if (message[0] == 0 || strchr(message, '\n')) {
        abort();
    }
    free(text);
    return 0;
}
