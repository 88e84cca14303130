/* The last pass: copies that move, lines, and what the ledger says of them. */

#ifndef TEAPOT_LINES_H
#define TEAPOT_LINES_H

enum { HAS_TOOLS = 1, HAS_CATEGORY = 2, HAS_META = 4 };
#define ENTRY 134
#define LEDGER_ROW 95

/* An entry of the index, as far as a line follows from it. */
typedef struct {
    uint64_t occurrence, offset, sizes[5]; /* of id, body, tools, category, meta */
    unsigned copy, worker, flags;
} Entry;

static Entry read_entry(const uint8_t *at)
{
    Entry entry;
    entry.occurrence = get_number(at + 80, 8);
    entry.offset = get_number(at + 88, 8);
    entry.copy = (unsigned)get_number(at + 100, 4);
    for (int i = 0; i < 5; i++)
        entry.sizes[i] = get_number(at + 108 + 4 * i, 4);
    entry.worker = (unsigned)get_number(at + 130, 2);
    entry.flags = at[133];
    return entry;
}

/* The parts of a candidate's row, from the data of its bucket. */
static int find_row(PyObject *files, const Entry *entry, Piece parts[5])
{
    Piece data;
    uint64_t size = 0;
    for (int i = 0; i < 5; i++)
        size += entry->sizes[i];
    if (entry->worker >= (size_t)PyTuple_Size(files) || piece_of(PyTuple_GetItem(files, entry->worker), &data) < 0
        || entry->offset > data.size || size > data.size - entry->offset || entry->sizes[0] < 2) {
        if (!PyErr_Occurred())
            PyErr_SetString(PyExc_ValueError, "a row is not where its bucket should have it");
        return FAILED;
    }
    const uint8_t *at = data.at + entry->offset;
    for (int i = 0; i < 5; at += entry->sizes[i++])
        parts[i] = (Piece){at, (size_t)entry->sizes[i]};
    return YES;
}

static int item_of(PyObject *pieces, const uint8_t *places, Py_ssize_t number, Piece *piece)
{
    return piece_of(PyTuple_GetItem(pieces, (Py_ssize_t)(int64_t)get_number(places + 8 * number, 8)), piece);
}

/* A bytes object of so many pieces of this size. */
static int rows_of(PyObject *object, size_t size, Py_ssize_t count, Piece *piece)
{
    if (piece_of(object, piece) < 0)
        return FAILED;
    if (piece->size == size * (size_t)count)
        return YES;
    PyErr_SetString(PyExc_ValueError, "an array has the wrong size");
    return FAILED;
}

/* Buckets.move(count, entries, places, files, tails): append copies to the buckets of their own order keys. Places are those of the tails, which are
   what their module's keys hash after the purpose. */
static PyObject *buckets_move(PyObject *object, PyObject *args)
{
    static const uint8_t person[16] = "teapot/1";
    Buckets *self = (Buckets *)object;
    PyObject *given[2], *files, *tails;
    Py_ssize_t count, number = 0;
    Piece entries, places, parts[5], tail;
    Buffer keyed = {0};
    if (!PyArg_ParseTuple(args, "nOOO!O!", &count, &given[0], &given[1], &PyTuple_Type, &files, &PyTuple_Type, &tails)
        || rows_of(given[0], ENTRY, count, &entries) < 0 || rows_of(given[1], 8, count, &places) < 0)
        return NULL;
    for (; number < count; number++) {
        uint8_t entry[ENTRY], key[16];
        memcpy(entry, entries.at + ENTRY * number, sizeof entry);
        const Entry read = read_entry(entry);
        if (find_row(files, &read, parts) < 0 || item_of(tails, places.at, number, &tail) < 0 || make_room(&keyed, tail.size + 64) < 0)
            break;
        keyed.size = 0;
        PUT_TEXT(&keyed, "\2");
        put_piece(&keyed, tail);
        put(&keyed, entry + 32, DIGEST);
        for (int i = 0; i < 12; i++) /* occurrence and copy, big-endian here */
            keyed.at[keyed.size++] = i < 8 ? entry[87 - i] : entry[111 - i];
        blake2b_16(keyed.at, keyed.size, person, key);
        const unsigned bucket = bucket_of(self, key);
        put_key(entry, key);
        set_number(entry + 88, self->holds[DATA][bucket].written, 8);
        set_number(entry + 130, self->worker, 2);
        const Piece whole = {entry, sizeof entry};
        if (append_pieces(self, DATA, bucket, parts, 5) < 0 || append_pieces(self, INDEX, bucket, &whole, 1) < 0)
            break;
    }
    clear_buffer(&keyed);
    if (number < count)
        return NULL;
    Py_RETURN_NONE;
}

static void put_id(Buffer *out, const Entry *entry, Piece id)
{
    put(out, id.at, id.size - 1);
    if (entry->occurrence && !(entry->flags & OWN_ID)) {
        PUT_TEXT(out, "~");
        put_number(out, entry->occurrence);
    }
    if (entry->copy) {
        PUT_TEXT(out, "#");
        put_number(out, entry->copy);
    }
    PUT_TEXT(out, "\"");
}

static void put_column(Buffer *out, Piece name, Piece value)
{
    put_piece(out, name);
    put_piece(out, value.size ? value : TEXT("\"\""));
}

/* One line: docs/algorithm.md, step 9. */
static int put_line(Buffer *out, const Entry *entry, const Piece parts[5], Piece middle, int columns)
{
    size_t size = middle.size + 128;
    for (int i = 0; i < 5; i++)
        size += parts[i].size;
    if (make_room(out, size) < 0)
        return FAILED;
    PUT_TEXT(out, "{\"id\":");
    put_id(out, entry, parts[0]);
    put_piece(out, parts[1]);
    if (columns & HAS_TOOLS)
        put_column(out, TEXT(",\"tools\":"), parts[2]);
    put_piece(out, middle);
    if (columns & HAS_CATEGORY)
        put_column(out, TEXT(",\"category\":"), parts[3]);
    if (columns & HAS_META)
        put_column(out, TEXT(",\"meta\":"), parts[4]);
    PUT_TEXT(out, "}\n");
    return YES;
}

/* Lines on their way out. */
typedef struct {
    Buffer text, ends, hashes; /* ends: where each line in text ends, a size_t each */
    PyObject *write;           /* write(memory): what comes next in the output */
} Lines;

static int end_line(Lines *self)
{
    if (make_room(&self->ends, sizeof self->text.size) < 0)
        return FAILED;
    put(&self->ends, &self->text.size, sizeof self->text.size);
    return YES;
}

static int write_lines(Lines *self)
{
    const size_t count = self->ends.size / sizeof(size_t);
    if (count == 0)
        return YES;
    if (make_room(&self->hashes, count * DIGEST) < 0)
        return FAILED;
    sha256_pieces((Sha256Pieces){self->text.at, (const size_t *)(const void *)self->ends.at, count, 0, self->hashes.at + self->hashes.size});
    self->hashes.size += count * DIGEST;
    if (call_with_memory(self->write, self->text.at, self->text.size) < 0)
        return FAILED;
    self->text.size = self->ends.size = 0;
    return YES;
}

#define AT_ONCE ((size_t)256 << 10)

/* lines(count, entries, places, moved, (files, moved files), middles, columns, write) -> their hashes. Files are tuples by worker; places are those of
   the middles, eight bytes each; write(memory) is called with the lines' bytes, many at once. */
static PyObject *native_lines(PyObject *Py_UNUSED(module), PyObject *args)
{
    PyObject *given[3], *files[2], *middles, *result = NULL;
    Py_ssize_t count;
    int columns;
    Piece entries, places, moved, parts[5], middle;
    Lines lines = {{0}, {0}, {0}, NULL};
    if (!PyArg_ParseTuple(args, "nOOO(O!O!)O!iO", &count, &given[0], &given[1], &given[2], &PyTuple_Type, &files[0], &PyTuple_Type, &files[1],
                          &PyTuple_Type, &middles, &columns, &lines.write)
        || rows_of(given[0], ENTRY, count, &entries) < 0 || rows_of(given[1], 8, count, &places) < 0 || rows_of(given[2], 1, count, &moved) < 0)
        return NULL;
    Py_ssize_t number = 0;
    for (; number < count; number++) {
        const Entry entry = read_entry(entries.at + ENTRY * number);
        if (find_row(files[moved.at[number] != 0], &entry, parts) < 0 || item_of(middles, places.at, number, &middle) < 0
            || put_line(&lines.text, &entry, parts, middle, columns) < 0
            || end_line(&lines) < 0)
            break;
        if (lines.text.size >= AT_ONCE && write_lines(&lines) < 0)
            break;
    }
    if (number == count && write_lines(&lines) == YES)
        result = PyBytes_FromStringAndSize((const char *)lines.hashes.at, (Py_ssize_t)lines.hashes.size);
    clear_buffer(&lines.text);
    clear_buffer(&lines.ends);
    clear_buffer(&lines.hashes);
    return result;
}

/* begin_writing(handle, at, size): let the system begin to bring these bytes of a file to the disk, so that fsync finds less to do. Only that tells of
   errors; where the system has no such call, nothing is done. */
static PyObject *native_begin_writing(PyObject *Py_UNUSED(module), PyObject *args)
{
    int handle;
    long long at, size;
    if (!PyArg_ParseTuple(args, "iLL", &handle, &at, &size))
        return NULL;
#if defined(__linux__)
    Py_BEGIN_ALLOW_THREADS
    (void)sync_file_range(handle, at, size, SYNC_FILE_RANGE_WRITE);
    Py_END_ALLOW_THREADS
#endif
    Py_RETURN_NONE;
}

/* One entry of the ledger's content. A line has its number and its hash, a candidate that is left out its reason. */
static int put_content(Buffer *out, const uint8_t *row, uint64_t record, uint64_t line, const uint8_t *hash, const Piece about[4])
{
    if (make_room(out, 600 + about[0].size + about[1].size + about[2].size + about[3].size) < 0)
        return FAILED;
    PUT_TEXT(out, "{");
    if (hash != NULL) {
        PUT_TEXT(out, "\"copy\":");
        put_number(out, get_number(row + 24, 4));
        PUT_TEXT(out, ",");
    }
    PUT_TEXT(out, "\"digest\":\"");
    put_hex(out, row + 31, DIGEST);
    PUT_TEXT(out, "\",");
    put_piece(out, about[0]);
    if (hash != NULL) {
        PUT_TEXT(out, "\"line\":");
        put_number(out, line);
        PUT_TEXT(out, ",\"line_sha256\":\"");
        put_hex(out, hash, DIGEST);
        PUT_TEXT(out, "\",");
    }
    put_piece(out, about[1]);
    PUT_TEXT(out, ",\"occurrence\":");
    put_number(out, get_number(row + 16, 8));
    PUT_TEXT(out, ",\"part\":");
    put_number(out, get_number(row + 4, 4));
    if (hash == NULL) {
        PUT_TEXT(out, ",\"reason\":\"");
        put_piece(out, about[3]);
        PUT_TEXT(out, "\"");
    }
    PUT_TEXT(out, ",\"record\":");
    put_number(out, record);
    PUT_TEXT(out, ",");
    put_piece(out, about[2]);
    return YES;
}

/* content(count, rows, places, records, first line, origins, modules, sources, reasons) -> text. Rows are those of passc.LEDGER, records their
   numbers in their files; the first line's number is 0 for candidates that are left out. */
static PyObject *native_content(PyObject *Py_UNUSED(module), PyObject *args)
{
    PyObject *given[3], *names[4], *result = NULL;
    Py_ssize_t count;
    unsigned long long first;
    Piece rows, places, records, about[4] = {{0}};
    Buffer out = {0};
    if (!PyArg_ParseTuple(args, "nOOOKO!O!O!O!", &count, &given[0], &given[1], &given[2], &first, &PyTuple_Type, &names[0], &PyTuple_Type, &names[1],
                          &PyTuple_Type, &names[2], &PyTuple_Type, &names[3])
        || rows_of(given[0], LEDGER_ROW, count, &rows) < 0 || rows_of(given[1], 8, count, &places) < 0 || rows_of(given[2], 8, count, &records) < 0)
        return NULL;
    Py_ssize_t number = 0;
    for (; number < count; number++) {
        const uint8_t *row = rows.at + LEDGER_ROW * number;
        int code = YES;
        for (int i = 0; i < 3 && code == YES; i++)
            code = item_of(names[i], places.at, number, &about[i]);
        if (code == YES && !first)
            code = piece_of(PyTuple_GetItem(names[3], row[30]), &about[3]);
        if (code != YES
            || put_content(&out, row, get_number(records.at + 8 * number, 8), first + (uint64_t)number, first ? row + 63 : NULL, about) < 0)
            break;
    }
    if (number == count)
        result = PyBytes_FromStringAndSize((const char *)out.at, (Py_ssize_t)out.size);
    clear_buffer(&out);
    return result;
}

#endif
