/* The content of a ledger that is read: the same bytes as Python makes in checks/ledgertext.py. */

#ifndef TEAPOT_LEDGER_H
#define TEAPOT_LEDGER_H

/* A column: numbers of eight bytes, or texts between offsets of four bytes, or places of four bytes in a tuple of names with all that is written
   around them. What is valid has a byte that is not 0 for each row; without any, every row is. */
typedef struct {
    Piece values, data, valid;
    PyObject *names;
    int is_there;
} Column;

enum { COPY_OF, DIGEST_OF, FILE_OF, LICENSE_OF, LINE_OF, HASH_OF, MODULE_OF, OCCURRENCE_OF, PART_OF, REASON_OF, RECORD_OF, SOURCE_OF, COLUMNS };

static int has_value(const Column *column, Py_ssize_t row) { return column->is_there && (!column->valid.size || column->valid.at[row]); }

/* None, or (values, what is valid, data of texts or names). */
static int read_column(Column *column, PyObject *given, size_t size, Py_ssize_t count)
{
    PyObject *values, *valid, *more;
    memset(column, 0, sizeof *column);
    if (given == Py_None)
        return YES;
    if (!PyTuple_Check(given) || !PyArg_ParseTuple(given, "OOO", &values, &valid, &more) || rows_of(values, size, count + (more != Py_None && !PyTuple_Check(more)), &column->values) < 0) {
        if (!PyErr_Occurred())
            PyErr_SetString(PyExc_ValueError, "a column has three parts");
        return FAILED;
    }
    column->is_there = YES;
    if (valid != Py_None && rows_of(valid, 1, count, &column->valid) < 0)
        return FAILED;
    if (PyTuple_Check(more))
        column->names = more;
    else if (more != Py_None && piece_of(more, &column->data) < 0)
        return FAILED;
    return YES;
}

static int put_signed(Buffer *out, Piece before, const Column *column, Py_ssize_t row, Piece after)
{
    if (!has_value(column, row))
        return YES;
    if (make_room(out, before.size + after.size + 32) < 0)
        return FAILED;
    put_piece(out, before);
    const uint64_t number = get_number(column->values.at + 8 * row, 8);
    if (number >> 63)
        PUT_TEXT(out, "-");
    put_number(out, number >> 63 ? ~number + 1 : number);
    put_piece(out, after);
    return YES;
}

static int put_text_of(Buffer *out, Piece before, const Column *column, Py_ssize_t row, Piece after)
{
    if (!has_value(column, row))
        return YES;
    const uint64_t from = get_number(column->values.at + 4 * row, 4), to = get_number(column->values.at + 4 * row + 4, 4);
    if (from > to || to > column->data.size) {
        PyErr_SetString(PyExc_ValueError, "a text is not where its column says");
        return FAILED;
    }
    if (make_room(out, before.size + (size_t)(to - from) + after.size) < 0)
        return FAILED;
    put_piece(out, before);
    put(out, column->data.at + from, (size_t)(to - from));
    put_piece(out, after);
    return YES;
}

static int put_name(Buffer *out, const Column *column, Py_ssize_t row)
{
    Piece name;
    if (!has_value(column, row))
        return YES;
    if (piece_of(PyTuple_GetItem(column->names, (Py_ssize_t)get_number(column->values.at + 4 * row, 4)), &name) < 0 || make_room(out, name.size) < 0)
        return FAILED;
    put_piece(out, name);
    return YES;
}

static int put_entry(Buffer *out, const Column columns[COLUMNS], Py_ssize_t row)
{
    const Piece comma = TEXT(","), nothing = TEXT("");
    const int has_line = has_value(&columns[LINE_OF], row);
    if (make_room(out, 64) < 0)
        return FAILED;
    PUT_TEXT(out, "{");
    if (put_signed(out, TEXT("\"copy\":"), &columns[COPY_OF], row, comma) < 0
        || put_text_of(out, TEXT("\"digest\":\""), &columns[DIGEST_OF], row, TEXT("\",")) < 0 || put_name(out, &columns[FILE_OF], row) < 0
        || put_name(out, &columns[LICENSE_OF], row) < 0 || put_signed(out, TEXT("\"line\":"), &columns[LINE_OF], row, TEXT(",\"line_sha256\":\"")) < 0)
        return FAILED;
    if (has_line && has_value(&columns[HASH_OF], row)) {
        if (put_text_of(out, nothing, &columns[HASH_OF], row, TEXT("\",")) < 0)
            return FAILED;
    } else if (has_line) {
        if (make_room(out, 16) < 0)
            return FAILED;
        PUT_TEXT(out, "None\",");
    }
    return put_name(out, &columns[MODULE_OF], row) < 0 || put_signed(out, TEXT("\"occurrence\":"), &columns[OCCURRENCE_OF], row, comma) < 0
                   || put_signed(out, TEXT("\"part\":"), &columns[PART_OF], row, comma) < 0 || put_name(out, &columns[REASON_OF], row) < 0
                   || put_signed(out, TEXT("\"record\":"), &columns[RECORD_OF], row, comma) < 0 || put_name(out, &columns[SOURCE_OF], row) < 0
               ? FAILED
               : YES;
}

/* entries(count, columns) -> the canonical lines of a ledger's entries. Columns stand as their names sort; a name's text is all of its member. */
static PyObject *native_entries(PyObject *Py_UNUSED(module), PyObject *args)
{
    static const uint8_t sizes[COLUMNS] = {8, 4, 4, 4, 8, 4, 4, 8, 8, 4, 8, 4};
    Column columns[COLUMNS];
    Py_ssize_t count, row = 0;
    PyObject *given, *result = NULL;
    Buffer out = {0};
    if (!PyArg_ParseTuple(args, "nO!", &count, &PyTuple_Type, &given))
        return NULL;
    if (count < 0 || PyTuple_Size(given) != COLUMNS) {
        PyErr_SetString(PyExc_ValueError, "all columns of a ledger are needed");
        return NULL;
    }
    for (int i = 0; i < COLUMNS; i++) {
        const int is_name = i == FILE_OF || i == LICENSE_OF || i == MODULE_OF || i == REASON_OF || i == SOURCE_OF;
        if (read_column(&columns[i], PyTuple_GetItem(given, i), sizes[i], count) < 0)
            return NULL;
        if (columns[i].is_there && is_name != (columns[i].names != NULL)) {
            PyErr_SetString(PyExc_ValueError, "a column of names has them, and no other");
            return NULL;
        }
    }
    while (row < count && put_entry(&out, columns, row) == YES)
        row++;
    if (row == count)
        result = PyBytes_FromStringAndSize((const char *)out.at, (Py_ssize_t)out.size);
    clear_buffer(&out);
    return result;
}

/* unhex(digits) -> bytes, or None if these are not small hexadecimal digits, two a byte. */
static PyObject *native_unhex(PyObject *Py_UNUSED(module), PyObject *digits)
{
    Piece text;
    Buffer out = {0};
    if (piece_of(digits, &text) < 0 || make_room(&out, text.size / 2 + 1) < 0)
        return NULL;
    unsigned odd = text.size % 2;
    for (size_t i = 0; i + 1 < text.size; i += 2) {
        uint8_t value[2];
        for (int j = 0; j < 2; j++) {
            const uint8_t digit = text.at[i + (size_t)j];
            const uint8_t number = (uint8_t)(digit - '0'), letter = (uint8_t)(digit - 'a');
            odd |= number > 9 && letter > 5;
            value[j] = number > 9 ? (uint8_t)(letter + 10) : number;
        }
        out.at[out.size++] = (uint8_t)(value[0] << 4 | (value[1] & 15));
    }
    PyObject *result = odd ? Py_None : PyBytes_FromStringAndSize((const char *)out.at, (Py_ssize_t)out.size);
    if (odd)
        Py_INCREF(result);
    clear_buffer(&out);
    return result;
}

/* count(data, byte) -> how often it occurs. */
static PyObject *native_count(PyObject *Py_UNUSED(module), PyObject *args)
{
    const char *data;
    Py_ssize_t size, at = 0, found = 0;
    unsigned char byte;
    if (!PyArg_ParseTuple(args, "y#b", &data, &size, &byte))
        return NULL;
#if defined(__SSE2__)
    const __m128i wanted = _mm_set1_epi8((char)byte), zero = _mm_setzero_si128();
    while (size - at >= 16) {
        const Py_ssize_t end = size - at < 255 * 16 ? size - (size - at) % 16 : at + 255 * 16; /* no byte of the sums overflows */
        __m128i sums = zero;
        for (; at < end; at += 16)
            sums = _mm_sub_epi8(sums, _mm_cmpeq_epi8(_mm_loadu_si128((const __m128i *)(data + at)), wanted));
        const __m128i halves = _mm_sad_epu8(sums, zero);
        found += _mm_cvtsi128_si32(halves) + _mm_cvtsi128_si32(_mm_srli_si128(halves, 8));
    }
#endif
    for (; at < size; at++)
        found += (uint8_t)data[at] == byte;
    return PyLong_FromSsize_t(found);
}

#endif
