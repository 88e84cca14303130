/* The lines of an output, when it is validated: each against its ledger's entry, and against the line before it. */

#ifndef TEAPOT_WALK_H
#define TEAPOT_WALK_H

#define MAX_OCCURRENCE ((UINT64_C(1) << 53) - 1)
#define MARK 32

/* What the ledger says of lines; numbers are little-endian, of eight bytes. An origin is (module, source, license, what its keys hash), or None where
   lines of it are for Python. */
typedef struct {
    Piece origin, digests, lines, occurrences, copies;
    PyObject *origins;
    size_t count;
} Said;

/* Where a line belongs: its order key, then what breaks ties. */
typedef struct {
    Piece key, digest, name;
    uint64_t occurrence, copy;
} OrderPlace;

typedef struct {
    Checker *checker;
    Buckets *marks;
    PyObject *is_meta; /* whether what stands between the quotes of meta is JSON in RFC 8785 form */
    Said said;
    OrderPlace last; /* without a key before the first line */
    uint8_t held[2][16 + DIGEST]; /* what the places of this line and of the last one point to */
    Buffer text;
} Walk;

static int compare(Piece one, Piece other)
{
    const int found = memcmp(one.at, other.at, one.size < other.size ? one.size : other.size);
    return found ? found : (one.size > other.size) - (one.size < other.size);
}

static int is_before(const OrderPlace *one, const OrderPlace *other)
{
    int found = compare(one->key, other->key);
    if (found == 0)
        found = compare(one->digest, other->digest);
    if (found == 0)
        found = compare(one->name, other->name);
    if (found == 0)
        found = (one->occurrence > other->occurrence) - (one->occurrence < other->occurrence);
    return found < 0 || (found == 0 && one->copy < other->copy);
}

/* A copy's id ends in #k; an id made from the digest names its occurrence. */
static int id_fits(Piece identity, const uint8_t *digest, uint64_t occurrence, uint64_t copy)
{
    uint8_t ending[24], start[16];
    Buffer end = {ending, 0, sizeof ending}, begin = {start, 0, sizeof start};
    if (copy) {
        PUT_TEXT(&end, "#");
        put_number(&end, copy);
        if (identity.size < end.size || memcmp(identity.at + identity.size - end.size, end.at, end.size) != 0)
            return NO;
        identity.size -= end.size;
    }
    put_hex(&begin, digest, 8);
    return !(occurrence && identity.size == begin.size && memcmp(identity.at, start, begin.size) == 0);
}

static int is_piece(PyObject *object, Piece piece)
{
    Piece own;
    if (piece_of(object, &own) < 0)
        return FAILED;
    return own.size == piece.size && memcmp(own.at, piece.at, own.size) == 0;
}

/* Whether the row is of the origin that the ledger names; tail is then what its keys hash. */
static int is_of_origin(const Walk *walk, size_t place, const Piece given[GIVEN], Piece *tail)
{
    static const int columns[3] = {MODULE_COLUMN, SOURCE_COLUMN, LICENSE_COLUMN};
    PyObject *origin = PyTuple_GetItem(walk->said.origins, (Py_ssize_t)(int64_t)get_number(walk->said.origin.at + 8 * place, 8));
    if (origin == NULL)
        return FAILED;
    if (origin == Py_None)
        return NO;
    if (!PyTuple_Check(origin) || PyTuple_Size(origin) != 4 || piece_of(PyTuple_GetItem(origin, 3), tail) < 0) {
        if (!PyErr_Occurred())
            PyErr_SetString(PyExc_ValueError, "an origin has four parts");
        return FAILED;
    }
    int code = YES;
    for (int i = 0; i < 3 && code == YES; i++)
        code = is_piece(PyTuple_GetItem(origin, i), given[columns[i]]);
    return code;
}

/* Short texts that are in form are remembered, one for each place. */
static int is_meta_canonical(const Walk *walk, Piece meta)
{
    if (meta.size == 0)
        return YES;
    uint32_t place = 2166136261u; /* FNV-1a */
    for (size_t i = 0; i < meta.size && meta.size <= MOST_META; i++)
        place = (place ^ meta.at[i]) * 16777619u;
    Meta *known = &walk->checker->metas[(place ^ place >> 16) % METAS];
    if (known->size == meta.size && memcmp(known->text, meta.at, meta.size) == 0)
        return YES;
    PyObject *answer = PyObject_CallFunction(walk->is_meta, "y#", meta.at, (Py_ssize_t)meta.size);
    const int code = answer != NULL ? PyObject_IsTrue(answer) : FAILED;
    Py_XDECREF(answer);
    if (code == YES && meta.size <= MOST_META) {
        known->size = meta.size;
        memcpy(known->text, meta.at, meta.size);
    }
    return code;
}

/* The order key of a row, into the 16 bytes before its digest. */
static int put_order_key(Walk *walk, uint8_t held[16 + DIGEST], Piece tail, uint64_t occurrence, uint64_t copy)
{
    static const uint8_t person[16] = "teapot/1";
    Buffer *text = &walk->text;
    text->size = 0;
    if (make_room(text, tail.size + 64) < 0)
        return FAILED;
    PUT_TEXT(text, "\2");
    put_piece(text, tail);
    put(text, held + 16, DIGEST);
    for (int i = 7; i >= 0; i--)
        text->at[text->size++] = (uint8_t)(occurrence >> 8 * i);
    for (int i = 3; i >= 0; i--)
        text->at[text->size++] = (uint8_t)(copy >> 8 * i);
    blake2b_16(text->at, text->size, person, held);
    return YES;
}

/* Keep a hash of the row's id, with the line's number and the byte where it begins. */
static int mark_id(Walk *walk, Piece module, Piece identity, uint64_t number, uint64_t offset)
{
    static const uint8_t person[16] = {0};
    uint8_t mark[MARK];
    Buffer *text = &walk->text;
    text->size = 0;
    if (make_room(text, module.size + identity.size + 1) < 0)
        return FAILED;
    put_piece(text, module);
    put(text, "", 1);
    put_piece(text, identity);
    blake2b_16(text->at, text->size, person, mark);
    for (int i = 0; i < 8; i++) {
        mark[16 + i] = (uint8_t)(number >> 8 * (7 - i));
        mark[24 + i] = (uint8_t)(offset >> 8 * (7 - i));
    }
    const Piece whole = {mark, sizeof mark};
    return append_pieces(walk->marks, DATA, bucket_of(walk->marks, mark), &whole, 1);
}

/* Whether nothing is wrong with a line. If something is, or may be, nothing is kept of it. */
static int walk_line(Walk *walk, Piece line, size_t place, uint64_t number, uint64_t offset)
{
    const Said *said = &walk->said;
    Piece given[GIVEN], tail;
    uint8_t digests[2][DIGEST], *held = walk->held[walk->last.digest.at != walk->held[1] + 16];
    int code = check_line(walk->checker, line, given);
    if (code == YES)
        code = is_meta_canonical(walk, given[META_COLUMN]);
    if (code == YES)
        code = is_of_origin(walk, place, given, &tail);
    if (code != YES)
        return code;
    hash_line(line, walk->checker->messages, digests);
    const uint64_t occurrence = get_number(said->occurrences.at + 8 * place, 8), copy = get_number(said->copies.at + 8 * place, 8);
    if (memcmp(said->lines.at + DIGEST * place, digests[0], DIGEST) != 0 || memcmp(said->digests.at + DIGEST * place, digests[1], DIGEST) != 0
        || occurrence > MAX_OCCURRENCE || copy > UINT32_MAX || !id_fits(given[ID_COLUMN], digests[1], occurrence, copy))
        return NO;
    memcpy(held + 16, digests[1], DIGEST);
    if (put_order_key(walk, held, tail, occurrence, copy) < 0)
        return FAILED;
    const OrderPlace own = {{held, 16}, {held + 16, DIGEST}, given[MODULE_COLUMN], occurrence, copy};
    if (walk->last.key.at != NULL && !is_before(&walk->last, &own))
        return NO;
    code = mark_id(walk, given[MODULE_COLUMN], given[ID_COLUMN], number, offset);
    walk->last = own;
    return code;
}

static int read_said(Said *said, PyObject *given)
{
    PyObject *parts[5];
    if (!PyArg_ParseTuple(given, "O!OOOOO", &PyTuple_Type, &said->origins, &parts[0], &parts[1], &parts[2], &parts[3], &parts[4])
        || piece_of(parts[0], &said->origin) < 0)
        return FAILED;
    said->count = said->origin.size / 8;
    const Py_ssize_t count = (Py_ssize_t)said->count;
    return rows_of(parts[0], 8, count, &said->origin) < 0 || rows_of(parts[1], DIGEST, count, &said->digests) < 0
                   || rows_of(parts[2], DIGEST, count, &said->lines) < 0 || rows_of(parts[3], 8, count, &said->occurrences) < 0
                   || rows_of(parts[4], 8, count, &said->copies) < 0
               ? FAILED
               : YES;
}

static int read_last(Walk *walk, PyObject *given)
{
    OrderPlace *last = &walk->last;
    PyObject *parts[3];
    unsigned long long occurrence, copy;
    if (given == Py_None)
        return YES;
    if (!PyTuple_Check(given) || !PyArg_ParseTuple(given, "OOOKK", &parts[0], &parts[1], &parts[2], &occurrence, &copy)
        || piece_of(parts[0], &last->key) < 0 || piece_of(parts[1], &last->digest) < 0 || piece_of(parts[2], &last->name) < 0) {
        if (!PyErr_Occurred())
            PyErr_SetString(PyExc_ValueError, "a place in the order has five parts");
        return FAILED;
    }
    last->occurrence = occurrence;
    last->copy = copy;
    return YES;
}

/* walk(data, at, offset, number, place, said, last, marks, is_meta) -> how many lines were right, one after the other, and where the next one begins.

   The line at this place of the data begins at this byte of the output, has this number, and is said to be what stands at this place of (origins,
   origin, digests, lines, occurrences, copies). Only whole lines are looked at; of those that are right the ids are marked. */
static PyObject *checker_walk(PyObject *object, PyObject *args)
{
    Walk walk = {.checker = (Checker *)object};
    Piece data;
    PyObject *text, *said, *last;
    Py_ssize_t at, place;
    unsigned long long offset, number;
    if (!PyArg_ParseTuple(args, "OnKKnO!OO!O", &text, &at, &offset, &number, &place, &PyTuple_Type, &said, &last, buckets_type, &walk.marks, &walk.is_meta)
        || piece_of(text, &data) < 0 || read_said(&walk.said, said) < 0 || read_last(&walk, last) < 0)
        return NULL;
    if (at < 0 || (size_t)at > data.size || place < 0) {
        PyErr_SetString(PyExc_ValueError, "no such place");
        return NULL;
    }
    const uint8_t *from = data.at + at, *end = data.at + data.size;
    unsigned long long taken = 0;
    int code = YES;
    while (code == YES && (size_t)place + taken < walk.said.count && from < end) {
        const uint8_t *newline = memchr(from, '\n', (size_t)(end - from));
        if (newline == NULL)
            break;
        const Piece line = {from, (size_t)(newline - from) + 1};
        code = walk_line(&walk, line, (size_t)place + taken, number + taken, offset + (unsigned long long)(from - (data.at + at)));
        if (code == YES) {
            from += line.size;
            taken++;
        }
    }
    clear_buffer(&walk.text);
    return code >= 0 ? Py_BuildValue("Kn", taken, (Py_ssize_t)(from - data.at)) : NULL;
}

/* repeated(marks) -> (line, offset) of every mark but the first, by lines, of those with the same hash. */
static PyObject *native_repeated(PyObject *Py_UNUSED(module), PyObject *given)
{
    Piece marks;
    if (piece_of(given, &marks) < 0)
        return NULL;
    const size_t count = marks.size / MARK;
    size_t room = 64;
    while (room < 2 * count)
        room *= 2;
    if (marks.size % MARK || count >= UINT32_MAX) {
        PyErr_SetString(PyExc_ValueError, "marks have 32 bytes, and there are not so many");
        return NULL;
    }
    uint32_t *firsts = PyMem_Calloc(room, sizeof *firsts); /* counted from 1 */
    PyObject *found = PyList_New(0);
    int code = firsts != NULL && found != NULL ? YES : FAILED;
    if (firsts == NULL)
        PyErr_NoMemory();
    for (size_t i = 0; i < count && code == YES; i++) {
        const uint8_t *mark = marks.at + MARK * i;
        size_t at = (size_t)get_big_endian(mark + 8) & (room - 1);
        while (firsts[at] && memcmp(marks.at + MARK * (size_t)(firsts[at] - 1), mark, 16) != 0)
            at = (at + 1) & (room - 1);
        if (firsts[at]) {
            const uint8_t *other = marks.at + MARK * (size_t)(firsts[at] - 1);
            const int is_first = get_big_endian(mark + 16) < get_big_endian(other + 16);
            const uint8_t *again = is_first ? other : mark;
            PyObject *pair = Py_BuildValue("KK", (unsigned long long)get_big_endian(again + 16), (unsigned long long)get_big_endian(again + 24));
            code = pair != NULL && PyList_Append(found, pair) == 0 ? YES : FAILED;
            Py_XDECREF(pair);
            if (!is_first)
                continue;
        }
        firsts[at] = (uint32_t)i + 1;
    }
    PyMem_Free(firsts);
    if (code == YES)
        return found;
    Py_XDECREF(found);
    return NULL;
}

static PyMethodDef checker_methods[] = {{"check", checker_check, METH_O, NULL}, {"walk", checker_walk, METH_VARARGS, NULL}, {NULL, NULL, 0, NULL}};

#endif
