/* Pieces of memory, buffers that grow, and JSON strings and scalars in RFC 8785 form. Include it after Python.h. */

#ifndef TEAPOT_TEXT_H
#define TEAPOT_TEXT_H

#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include "utf8.h"

#ifndef PyBUF_READ
#define PyBUF_READ 0x100 /* the limited interface names it from Python 3.11 on */
#endif

enum { FAILED = -1, NO = 0, YES = 1, OTHER = 2 }; /* FAILED: an exception is set; OTHER: another shape may fit */

/* ---------------------------------------------------------------- pieces and buffers */

typedef struct {
    const uint8_t *at;
    size_t size;
} Piece;

typedef struct {
    uint8_t *at;
    size_t size, room;
} Buffer;

/* Make room for so many bytes more. */
static int make_room(Buffer *buffer, size_t more)
{
    if (buffer->room - buffer->size >= more)
        return YES;
    if (more > PY_SSIZE_T_MAX / 4 || buffer->size > PY_SSIZE_T_MAX / 4) {
        PyErr_NoMemory();
        return FAILED;
    }
    size_t room = (buffer->size + more) * 2;
    uint8_t *at = PyMem_Realloc(buffer->at, room);
    if (at == NULL) {
        PyErr_NoMemory();
        return FAILED;
    }
    buffer->at = at;
    buffer->room = room;
    return YES;
}

static void clear_buffer(Buffer *buffer)
{
    PyMem_Free(buffer->at);
    buffer->at = NULL;
    buffer->size = buffer->room = 0;
}

/* Append to a buffer that has room for it. */
static void put(Buffer *buffer, const void *from, size_t size)
{
    if (size)
        memcpy(buffer->at + buffer->size, from, size);
    buffer->size += size;
}

static void put_piece(Buffer *buffer, Piece piece) { put(buffer, piece.at, piece.size); }

#define PUT_TEXT(buffer, text) put(buffer, text, sizeof(text) - 1)
#define TEXT(text) ((Piece){(const uint8_t *)(text), sizeof(text) - 1})

static void put_number(Buffer *buffer, uint64_t number)
{
    uint8_t digits[20];
    size_t at = sizeof digits;
    do
        digits[--at] = (uint8_t)('0' + number % 10);
    while (number /= 10);
    put(buffer, digits + at, sizeof digits - at);
}

static void put_hex(Buffer *buffer, const uint8_t *from, size_t size)
{
    for (size_t i = 0; i < size; i++) {
        buffer->at[buffer->size++] = (uint8_t)"0123456789abcdef"[from[i] >> 4];
        buffer->at[buffer->size++] = (uint8_t)"0123456789abcdef"[from[i] & 15];
    }
}

/* The bytes of an object that must be bytes. */
static int piece_of(PyObject *object, Piece *piece)
{
    char *at;
    Py_ssize_t size;
    if (object == NULL || PyBytes_AsStringAndSize(object, &at, &size) < 0)
        return FAILED;
    *piece = (Piece){(const uint8_t *)at, (size_t)size};
    return YES;
}

/* After a call with a view of memory that is used again: a view that somebody kept would show other bytes. */
static int done_with(PyObject *view, PyObject *answer)
{
    PyObject *released = answer != NULL ? PyObject_CallMethod(view, "release", NULL) : NULL;
    Py_DECREF(view);
    Py_XDECREF(answer);
    Py_XDECREF(released);
    return released != NULL ? YES : FAILED;
}

static int call_with_memory(PyObject *function, const uint8_t *at, size_t size)
{
    PyObject *view = PyMemoryView_FromMemory((char *)at, (Py_ssize_t)size, PyBUF_READ);
    return view == NULL ? FAILED : done_with(view, PyObject_CallFunction(function, "O", view));
}

/* Little-endian numbers, as the files hold them. */
static void set_number(uint8_t *to, uint64_t number, int bytes)
{
    for (int i = 0; i < bytes; i++)
        to[i] = (uint8_t)(number >> 8 * i);
}

static uint64_t get_number(const uint8_t *from, int bytes)
{
    uint64_t number = 0;
    for (int i = 0; i < bytes; i++)
        number |= (uint64_t)from[i] << 8 * i;
    return number;
}

static uint64_t get_big_endian(const uint8_t *from)
{
    uint64_t number = 0;
    for (int i = 0; i < 8; i++)
        number = number << 8 | from[i];
    return number;
}

/* ---------------------------------------------------------------- JSON */

typedef struct {
    const uint8_t *at, *end;
} Line;

static void skip_space(Line *line)
{
    while (line->at < line->end && (*line->at == ' ' || *line->at == '\t' || *line->at == '\r' || *line->at == '\n'))
        line->at++;
}

/* Whether this byte comes next after white space; it is passed over, and the white space after it. */
static int takes(Line *line, uint8_t byte)
{
    skip_space(line);
    if (line->at == line->end || *line->at != byte)
        return NO;
    line->at++;
    skip_space(line);
    return YES;
}

static int next_is(const Line *line, uint8_t byte) { return line->at < line->end && *line->at == byte; }

/* Four hexadecimal digits, or -1. */
static int32_t four_digits(const uint8_t *at)
{
    int32_t value = 0;
    for (int i = 0; i < 4; i++) {
        const uint8_t digit = at[i], letter = digit | 0x20;
        if (digit >= '0' && digit <= '9')
            value = value << 4 | (digit - '0');
        else if (letter >= 'a' && letter <= 'f')
            value = value << 4 | (letter - 'a' + 10);
        else
            return -1;
    }
    return value;
}

/* A character as RFC 8785 writes it in a string: never longer than the escape that it was read from. */
static uint8_t *put_character(uint8_t *to, uint32_t code)
{
    static const char short_forms[32] = {[8] = 'b', [9] = 't', [10] = 'n', [12] = 'f', [13] = 'r'};
    if (code == '"' || code == '\\' || (code < 0x20 && short_forms[code])) {
        *to++ = '\\';
        *to++ = (uint8_t)(code < 0x20 ? (uint32_t)short_forms[code] : code);
    } else if (code < 0x20) {
        memcpy(to, "\\u00", 4);
        to[4] = (uint8_t)('0' + (code >> 4));
        to[5] = (uint8_t)"0123456789abcdef"[code & 15];
        to += 6;
    } else if (code < 0x80) {
        *to++ = (uint8_t)code;
    } else if (code < 0x800) {
        *to++ = (uint8_t)(0xc0 | code >> 6);
        *to++ = (uint8_t)(0x80 | (code & 0x3f));
    } else {
        if (code < 0x10000) {
            *to++ = (uint8_t)(0xe0 | code >> 12);
        } else {
            *to++ = (uint8_t)(0xf0 | code >> 18);
            *to++ = (uint8_t)(0x80 | (code >> 12 & 0x3f));
        }
        *to++ = (uint8_t)(0x80 | (code >> 6 & 0x3f));
        *to++ = (uint8_t)(0x80 | (code & 0x3f));
    }
    return to;
}

/* The escape that begins at line->at, as RFC 8785 has it; NULL if it is none, or half a surrogate pair. */
static uint8_t *put_escape(Line *line, uint8_t *to)
{
    const uint8_t *at = line->at;
    const size_t left = (size_t)(line->end - at);
    if (left < 2)
        return NULL;
    if (at[1] != 'u') {
        if (at[1] == 0 || strchr("\"\\/bfnrt", at[1]) == NULL)
            return NULL;
        if (at[1] != '/')
            *to++ = '\\';
        *to++ = at[1];
        line->at += 2;
        return to;
    }
    int32_t code = left >= 6 ? four_digits(at + 2) : -1;
    if (code < 0 || (code >= 0xdc00 && code < 0xe000))
        return NULL;
    line->at += 6;
    if (code >= 0xd800 && code < 0xdc00) {
        const int32_t low = left >= 12 && at[6] == '\\' && at[7] == 'u' ? four_digits(at + 8) : -1;
        if (low < 0xdc00 || low >= 0xe000)
            return NULL;
        code = 0x10000 + ((code - 0xd800) << 10) + (low - 0xdc00);
        line->at += 6;
    }
    return put_character(to, (uint32_t)code);
}

/* The string that begins at line->at, appended with its quotes in RFC 8785 form, which is never longer than how it is written here. */
static int put_string(Line *line, Buffer *out)
{
    if (!next_is(line, '"'))
        return NO;
    if (make_room(out, (size_t)(line->end - line->at) + 32) < 0)
        return FAILED;
    uint8_t *to = out->at + out->size;
    *to++ = '"';
    line->at++;
    for (;;) {
        const size_t plain = copy_text(line->at, (size_t)(line->end - line->at), to);
        if (plain == BAD_TEXT)
            return NO;
        line->at += plain;
        to += plain;
        if (line->at == line->end || *line->at < 0x20)
            return NO;
        if (*line->at == '"')
            break;
        to = put_escape(line, to);
        if (to == NULL)
            return NO;
    }
    *to++ = '"';
    line->at++;
    out->size = (size_t)(to - out->at);
    return YES;
}

/* Pass over an escape as RFC 8785 writes it: the short form where there is one, else \u00 with small digits for a control character. */
static int takes_canonical_escape(Line *line)
{
    const uint8_t *at = line->at;
    const size_t left = (size_t)(line->end - at);
    if (left >= 2 && at[1] && strchr("\"\\bfnrt", at[1]) != NULL) {
        line->at += 2;
        return YES;
    }
    if (left < 6 || memcmp(at, "\\u00", 4) != 0 || (at[4] != '0' && at[4] != '1') || (at[5] >= 'A' && at[5] <= 'F'))
        return NO;
    const int32_t code = four_digits(at + 2);
    if (code < 0 || (code >= 8 && code <= 13 && code != 11))
        return NO;
    line->at += 6;
    return YES;
}

/* Pass over a string in RFC 8785 form; text is what stands between its quotes. */
static int takes_canonical_string(Line *line, Piece *text)
{
    if (!next_is(line, '"'))
        return NO;
    const uint8_t *from = ++line->at;
    for (;;) {
        const size_t plain = skip_text(line->at, (size_t)(line->end - line->at));
        if (plain == BAD_TEXT)
            return NO;
        line->at += plain;
        if (line->at == line->end || *line->at < 0x20)
            return NO;
        if (*line->at == '"')
            break;
        if (!takes_canonical_escape(line))
            return NO;
    }
    *text = (Piece){from, (size_t)(line->at - from)};
    line->at++;
    return YES;
}

static size_t skip_digits(Line *line)
{
    const uint8_t *from = line->at;
    while (line->at < line->end && *line->at >= '0' && *line->at <= '9')
        line->at++;
    return (size_t)(line->at - from);
}

static int takes_word(Line *line, Piece word)
{
    if ((size_t)(line->end - line->at) < word.size || memcmp(line->at, word.at, word.size) != 0)
        return NO;
    line->at += word.size;
    return YES;
}

/* null, true, false, or a number that is surely in range, finite, and no negative zero. An integer is told from the rest. */
static int takes_scalar(Line *line, int *is_integer)
{
    *is_integer = 0;
    if (takes_word(line, TEXT("null")) || takes_word(line, TEXT("true")) || takes_word(line, TEXT("false")))
        return YES;
    const int is_negative = takes_word(line, TEXT("-"));
    const int is_zero = next_is(line, '0');
    const size_t digits = skip_digits(line);
    if (digits == 0 || digits > 15 || (is_zero && (digits > 1 || is_negative)))
        return NO;
    *is_integer = 1;
    if (next_is(line, '.')) {
        line->at++;
        *is_integer = 0;
        const size_t places = skip_digits(line);
        if (places == 0 || places > 20)
            return NO;
    }
    if (next_is(line, 'e') || next_is(line, 'E')) {
        line->at++;
        *is_integer = 0;
        if (next_is(line, '+') || next_is(line, '-'))
            line->at++;
        const size_t places = skip_digits(line);
        if (places == 0 || places > 2)
            return NO;
    }
    return YES;
}

#endif
