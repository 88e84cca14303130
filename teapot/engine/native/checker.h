/* A line of an output, when it is validated. */

#ifndef TEAPOT_CHECKER_H
#define TEAPOT_CHECKER_H

enum { ID_COLUMN, MODULE_COLUMN, SOURCE_COLUMN, LICENSE_COLUMN, META_COLUMN, GIVEN, MESSAGES_COLUMN = GIVEN, EMPTY_COLUMN, TEXT_COLUMN };
#define MOST_COLUMNS 16
#define METAS 1024
#define MOST_META 120

typedef struct {
    size_t size;
    uint8_t text[MOST_META];
} Meta;

typedef struct {
    PyObject_HEAD
    PyObject *keep;
    int column_count, role_count;
    Field columns[MOST_COLUMNS]; /* the name with all that stands before the value; what is held */
    Role roles[MOST_TABLE];
    Table tokens, spaces;
    Meta metas[METAS]; /* what the meta column held that is in form; of the size 0 where there is none */
    Piece messages; /* of the line that is checked; they are in RFC 8785 form */
} Checker;

/* The list of messages in RFC 8785 form, each a role and a text that can be trained on. */
static int check_messages(Checker *self, Line *line)
{
    const uint8_t *from = line->at;
    int answered = 0;
    if (!takes_word(line, TEXT("[")))
        return NO;
    do {
        Piece text;
        if (!takes_word(line, TEXT("{\"content\":")))
            return NO;
        if (!takes_canonical_string(line, &text) || !takes_word(line, TEXT(",\"role\":")))
            return NO;
        const Role *role = take_role(self->roles, self->role_count, line);
        if (role == NULL || !takes_word(line, TEXT("}")))
            return NO;
        if (((role->traits & NOT_BLANK) && is_blank(&self->spaces, text)) || holds_token(&self->tokens, text))
            return NO;
        answered |= role->traits & ANSWERS;
    } while (takes_word(line, TEXT(",")));
    if (!takes_word(line, TEXT("]")) || !answered)
        return NO;
    self->messages = (Piece){from, (size_t)(line->at - from)};
    return YES;
}

static int check_columns(Checker *self, Line *line, Piece given[GIVEN])
{
    for (int i = 0; i < self->column_count; i++) {
        const int kind = self->columns[i].kind;
        Piece text;
        if (!takes_word(line, self->columns[i].name))
            return NO;
        const int code = kind == MESSAGES_COLUMN ? check_messages(self, line) : takes_canonical_string(line, &text);
        if (code != YES)
            return code;
        if (kind < GIVEN)
            given[kind] = text;
        if ((kind == ID_COLUMN && text.size == 0) || (kind == EMPTY_COLUMN && text.size) || (kind < META_COLUMN && memchr(text.at, '\\', text.size)))
            return NO; /* an escape in one of these is for Python to read */
    }
    return takes_word(line, TEXT("}\n")) && line->at == line->end && self->messages.size;
}

/* Whether a line is certain to be a row in form that can be trained on. Then given is what stands between the quotes of these columns; nothing for one
   that there is not. */
static int check_line(Checker *self, Piece whole, Piece given[GIVEN])
{
    Line line = {whole.at, whole.at + whole.size};
    self->messages.size = 0;
    for (int i = 0; i < GIVEN; i++)
        given[i] = (Piece){whole.at, 0};
    return check_columns(self, &line, given);
}

/* The SHA-256 of a line, and the digest of the row of these messages in it, both at once. The row is hashed as BEFORE, messages, AFTER. */
static void hash_line(Piece line, Piece messages, uint8_t digests[2][DIGEST])
{
    static const size_t before = sizeof BEFORE - 1, after = sizeof AFTER - 1;
    const size_t size = before + messages.size + after, first = messages.size < 64 - before ? messages.size : 64 - before;
    const size_t middle = (messages.size - first) / 64, left = messages.size - first - 64 * middle;
    uint32_t states[2][8];
    uint8_t head[64], rest[128], tails[2][192];
    size_t closing[2];
    memcpy(states[0], SHA256_START, sizeof states[0]);
    memcpy(states[1], SHA256_START, sizeof states[1]);
    memcpy(head, BEFORE, before);
    memcpy(head + before, messages.at, first);
    size_t held = 0, done = 0; /* what of it follows the whole blocks; blocks of the line */
    if (before + first < 64) {
        memcpy(rest, head, before + first);
        held = before + first;
    } else if (line.size < 64) {
        sha256_blocks(states[1], head, 1);
    } else {
        sha256_twins(states, line.at, head, 1);
        done = 1;
    }
    const uint8_t *const data[2] = {line.at + 64 * done, messages.at + first};
    const size_t blocks[2] = {line.size / 64 - done, middle};
    sha256_both(states, data, blocks);
    memcpy(rest + held, messages.at + first + 64 * middle, left);
    memcpy(rest + held + left, AFTER, after);
    held += left + after;
    closing[0] = sha256_tail(line.at + line.size / 64 * 64, line.size, tails[0]);
    memcpy(tails[1], rest, 64);
    closing[1] = held / 64 + sha256_tail(rest + held / 64 * 64, size, tails[1] + held / 64 * 64);
    const uint8_t *const ends[2] = {tails[0], tails[1]};
    sha256_both(states, ends, closing);
    sha256_put(states[0], digests[0]);
    sha256_put(states[1], digests[1]);
}

/* check(line) -> (id, module, source, license, digest, what stands between the quotes of meta), or None if the line is not certain to be in form. */
static PyObject *checker_check(PyObject *object, PyObject *text)
{
    Checker *self = (Checker *)object;
    uint8_t digests[2][DIGEST];
    Piece whole, given[GIVEN];
    if (piece_of(text, &whole) < 0)
        return NULL;
    const int code = check_line(self, whole, given);
    if (code < 0)
        return NULL;
    if (code != YES)
        Py_RETURN_NONE;
    hash_line(whole, self->messages, digests);
    return Py_BuildValue("s#s#s#s#y#y#", given[0].at, (Py_ssize_t)given[0].size, given[1].at, (Py_ssize_t)given[1].size, given[2].at,
                         (Py_ssize_t)given[2].size, given[3].at, (Py_ssize_t)given[3].size, digests[1], (Py_ssize_t)DIGEST, given[4].at,
                         (Py_ssize_t)given[4].size);
}

static int read_columns(Checker *self, PyObject *columns)
{
    Py_ssize_t count = PyTuple_Check(columns) ? PyTuple_Size(columns) : -1;
    for (Py_ssize_t i = 0; i < count && count <= MOST_COLUMNS; i++) {
        PyObject *name, *column = PyTuple_GetItem(columns, i);
        if (!PyTuple_Check(column) || !PyArg_ParseTuple(column, "Oi", &name, &self->columns[i].kind) || piece_of(name, &self->columns[i].name) < 0)
            count = -1;
    }
    if (count < 0 || count > MOST_COLUMNS) {
        if (!PyErr_Occurred())
            PyErr_SetString(PyExc_ValueError, "a tuple of not too many columns is needed");
        return FAILED;
    }
    self->column_count = (int)count;
    return YES;
}

/* Checker(((what stands before a value, kind), ...), roles, tokens, spaces) */
static PyObject *checker_new(PyTypeObject *type, PyObject *args, PyObject *Py_UNUSED(kwargs))
{
    PyObject *columns, *roles, *tokens, *spaces;
    if (!PyArg_ParseTuple(args, "OOOO", &columns, &roles, &tokens, &spaces))
        return NULL;
    Checker *self = (Checker *)PyType_GenericAlloc(type, 0);
    if (self == NULL)
        return NULL;
    Py_INCREF(args);
    self->keep = args;
    if (read_columns(self, columns) < 0 || read_roles(self->roles, &self->role_count, roles) < 0 || read_table(&self->tokens, tokens) < 0
        || read_table(&self->spaces, spaces) < 0) {
        Py_DECREF(self);
        return NULL;
    }
    return (PyObject *)self;
}

static void checker_dealloc(PyObject *object)
{
    Checker *self = (Checker *)object;
    Py_XDECREF(self->keep);
    PyTypeObject *type = Py_TYPE(object);
    PyObject_Free(object);
    Py_DECREF(type);
}

#endif
