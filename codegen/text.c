#include "text.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static int reserve(struct clnorm__text *text, size_t more)
{
    if (text->failed || text->length + more < text->capacity)
        return !text->failed;
    const size_t capacity = 2 * (text->length + more) + 1024;
    char *const bytes = realloc(text->bytes, capacity);
    if (!bytes) {
        text->failed = 1;
        return 0;
    }
    text->bytes = bytes;
    text->capacity = capacity;
    return 1;
}

void clnorm__text_append(struct clnorm__text *text, const char *bytes, size_t length)
{
    if (!reserve(text, length))
        return;
    memcpy(text->bytes + text->length, bytes, length);
    text->length += length;
    text->bytes[text->length] = 0;
}

void clnorm__text_print(struct clnorm__text *text, const char *format, ...)
{
    char line[512];
    va_list arguments;
    va_start(arguments, format);
    const int length = vsnprintf(line, sizeof line, format, arguments);
    va_end(arguments);
    if (length < 0 || (size_t)length >= sizeof line)
        text->failed = 1;
    else
        clnorm__text_append(text, line, (size_t)length);
}

void clnorm__text_free(struct clnorm__text *text)
{
    free(text->bytes);
    *text = (struct clnorm__text){0};
}

int clnorm__is_word(char c)
{
    return c == '_' || (c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9');
}
