/* A line of an output, when it is validated. */

#ifndef TEAPOT_CHECKER_H
#define TEAPOT_CHECKER_H

enum { ID_COLUMN, MODULE_COLUMN, SOURCE_COLUMN, LICENSE_COLUMN, META_COLUMN, GIVEN, MESSAGES_COLUMN = GIVEN, EMPTY_COLUMN, TEXT_COLUMN };
#define MOST_COLUMNS 16

typedef struct {
    PyObject_HEAD
    PyObject *keep;
    int column_count, role_count;
    Field columns[MOST_COLUMNS]; /* the name with all that stands before the value; what is held */
    Role roles[MOST_TABLE];
    Table tokens, spaces;
    Buffer spare, payload;
} Checker;

/* A string in RFC 8785 form; text is what stands between its quotes. */
static int check_string(Checker *self, Line *line, Piece *text)
{
    const uint8_t *from = line->at;
    self->spare.size = 0;
    const int code = put_string(line, &self->spare);
    if (code != YES)
        return code;
    const size_t size = (size_t)(line->at - from);
    *text = (Piece){from + 1, size - 2};
    return size == self->spare.size && memcmp(from, self->spare.at, size) == 0;
}

/* The list of messages in RFC 8785 form, each a role and a text that can be trained on; it goes into what the digest is taken over. */
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
        const int code = check_string(self, line, &text);
        if (code != YES)
            return code;
        if (!takes_word(line, TEXT(",\"role\":")))
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
    const size_t size = (size_t)(line->at - from);
    self->payload.size = 0;
    if (make_room(&self->payload, size + sizeof BEFORE + sizeof AFTER) < 0)
        return FAILED;
    PUT_TEXT(&self->payload, BEFORE);
    put(&self->payload, from, size);
    PUT_TEXT(&self->payload, AFTER);
    return YES;
}

static int check_columns(Checker *self, Line *line, Piece given[GIVEN])
{
    for (int i = 0; i < self->column_count; i++) {
        const int kind = self->columns[i].kind;
        Piece text;
        if (!takes_word(line, self->columns[i].name))
            return NO;
        const int code = kind == MESSAGES_COLUMN ? check_messages(self, line) : check_string(self, line, &text);
        if (code != YES)
            return code;
        if (kind < GIVEN)
            given[kind] = text;
        if ((kind == ID_COLUMN && text.size == 0) || (kind == EMPTY_COLUMN && text.size) || (kind < META_COLUMN && memchr(text.at, '\\', text.size)))
            return NO; /* an escape in one of these is for Python to read */
    }
    return takes_word(line, TEXT("}\n")) && line->at == line->end && self->payload.size;
}

/* check(line) -> (id, module, source, license, digest, what stands between the quotes of meta), or None if the line is not certain to be in form. */
static PyObject *checker_check(PyObject *object, PyObject *text)
{
    Checker *self = (Checker *)object;
    uint8_t digest[DIGEST];
    Piece whole, given[GIVEN] = {{0}};
    if (piece_of(text, &whole) < 0)
        return NULL;
    Line line = {whole.at, whole.at + whole.size};
    self->payload.size = 0;
    const int code = check_columns(self, &line, given);
    if (code < 0)
        return NULL;
    if (code != YES)
        Py_RETURN_NONE;
    for (int i = 0; i < GIVEN; i++)
        if (given[i].at == NULL)
            given[i].at = whole.at; /* a column that there is not: empty */
    sha256(self->payload.at, self->payload.size, digest);
    return Py_BuildValue("s#s#s#s#y#y#", given[0].at, (Py_ssize_t)given[0].size, given[1].at, (Py_ssize_t)given[1].size, given[2].at,
                         (Py_ssize_t)given[2].size, given[3].at, (Py_ssize_t)given[3].size, digest, (Py_ssize_t)DIGEST, given[4].at,
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
    clear_buffer(&self->spare);
    clear_buffer(&self->payload);
    Py_XDECREF(self->keep);
    PyTypeObject *type = Py_TYPE(object);
    PyObject_Free(object);
    Py_DECREF(type);
}

static PyMethodDef checker_methods[] = {{"check", checker_check, METH_O, NULL}, {NULL, NULL, 0, NULL}};

#endif
