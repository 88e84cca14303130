/* Rows: the candidates of one task. */

#ifndef TEAPOT_ROWS_H
#define TEAPOT_ROWS_H

enum { IS_TEXT, IS_SCALAR, IS_MESSAGES, FIELD_TYPE = 3, GIVES_ID = 4, IS_ASKED = 8 }; /* IS_ASKED << question */
enum { CATEGORY, META, LICENSE, QUESTIONS };
enum { NOT_BLANK = 1, ANSWERS = 2 };
#define MOST_WAITING 32
#define ENOUGH_WAITING (1 << 18)

typedef struct {
    Piece name;
    int kind;
} Field;

typedef struct {
    PyObject *keep, *known[QUESTIONS]; /* what was asked, with the answers */
    PyObject *last[QUESTIONS][2];      /* what was asked last, and its answer: often it is asked again */
    int number, count;
    uint64_t all;
    Field fields[MOST_FIELDS];
} Shape;

typedef struct {
    Piece name, end; /* as the data has it; what ends the message: ,"role":"user"} */
    int traits;
} Role;

typedef struct {
    int count;
    Piece items[MOST_TABLE];
    uint8_t begins[256], goes_on[256]; /* what an item's first byte and its second byte may be */
} Table;

/* A record that was taken. It waits for others, for two digests at a time take less than twice the time of one. */
typedef struct {
    PyObject *category, *meta;
    uint64_t record, line;
    size_t id_from, id_size; /* no size: it has none */
    unsigned license;
} Waiting;

typedef struct {
    PyObject_HEAD
    PyObject *keep;
    Buckets *buckets;
    unsigned module, task;
    uint64_t next;
    Buffer keyed; /* what the keys are the hash of, but for the first byte and the digest */
    Piece role_name, content_name;
    int role_count, shape_count;
    Role roles[MOST_TABLE];
    Table tokens, spaces;
    Shape *shapes[MOST_SHAPES]; /* the one that fitted last comes first */
    Buffer messages, id, spare; /* messages and ids of those that wait come first: so many bytes */
    size_t messages_from, id_from, messages_ends[MOST_WAITING];
    Waiting waiting[MOST_WAITING];
    int waiting_count;
    Piece asked[MOST_FIELDS];
    int has_id, answered;
    int has_category, has_meta, has_made_ids;
    uint64_t *counts; /* candidates by licence */
    size_t licenses;
} Rows;

/* One candidate; lengths are those of the index. */
typedef struct {
    const uint8_t *digest;
    Piece identity, body[2], tools, category, meta;
    unsigned license, bits, part;
    int has_own_id;
    uint64_t record, line;
} Candidate;

static int count_license(Rows *self, size_t license)
{
    if (license >= self->licenses) {
        const size_t room = (license + 8) * 2;
        uint64_t *counts = license < 1 << 16 ? PyMem_Realloc(self->counts, room * sizeof *counts) : NULL;
        if (counts == NULL) {
            PyErr_SetString(PyExc_OverflowError, "too many licences");
            return FAILED;
        }
        memset(counts + self->licenses, 0, (room - self->licenses) * sizeof *counts);
        self->counts = counts;
        self->licenses = room;
    }
    self->counts[license]++;
    return YES;
}

static void put_key(uint8_t *to, const uint8_t key[16])
{
    set_number(to, get_big_endian(key), 8);
    set_number(to + 8, get_big_endian(key + 8), 8);
}

static void keys_of(Rows *self, const uint8_t *digest, uint8_t select[16], uint8_t order[16])
{
    static const uint8_t person[16] = "teapot/1";
    memcpy(self->keyed.at + self->keyed.size - 12 - DIGEST, digest, DIGEST);
    self->keyed.at[0] = 1;
    blake2b_16(self->keyed.at, self->keyed.size, person, select);
    self->keyed.at[0] = 2;
    blake2b_16(self->keyed.at, self->keyed.size, person, order);
}

/* Append a candidate to its buckets: the row, its entry and its identity, laid out as engine/index.py says. */
static int keep_candidate(Rows *self, const Candidate *one)
{
    static const uint8_t nobody[16] = {0};
    uint8_t select[16], order[16], mark[16], entry[134] = {0}, identity[72] = {0};
    const Piece pieces[] = {one->identity, one->body[0], one->body[1], one->tools, one->category, one->meta};
    const size_t body = one->body[0].size + one->body[1].size;
    size_t size = 0;
    for (int i = 0; i < 6; i++)
        size += pieces[i].size;
    if (size > UINT32_MAX) {
        PyErr_SetString(PyExc_OverflowError, "a row is too long");
        return FAILED;
    }
    keys_of(self, one->digest, select, order);
    blake2b_16(one->identity.at, one->identity.size, nobody, mark);
    const unsigned bucket = bucket_of(self->buckets, order);
    const uint64_t offset = self->buckets->holds[DATA][bucket].written;

    put_key(entry, order);
    put_key(entry + 16, select);
    memcpy(entry + 32, one->digest, DIGEST);
    set_number(entry + 64, self->next, 8);
    set_number(entry + 72, one->record, 8);
    set_number(entry + 88, offset, 8);
    set_number(entry + 96, self->task, 4);
    set_number(entry + 104, one->part, 4);
    set_number(entry + 108, one->identity.size, 4);
    set_number(entry + 112, body, 4);
    set_number(entry + 116, one->tools.size, 4);
    set_number(entry + 120, one->category.size, 4);
    set_number(entry + 124, one->meta.size, 4);
    set_number(entry + 128, one->license, 2);
    set_number(entry + 130, self->buckets->worker, 2);
    entry[132] = (uint8_t)one->bits;
    entry[133] = one->has_own_id ? OWN_ID : 0;

    put_key(identity, mark);
    memcpy(identity + 16, one->digest + 8, 8);
    memcpy(identity + 24, entry + 64, 16); /* seq and record */
    set_number(identity + 40, one->line, 8);
    set_number(identity + 48, offset, 8);
    set_number(identity + 56, one->part, 4);
    set_number(identity + 60, one->identity.size, 4);
    set_number(identity + 64, self->module, 2);
    set_number(identity + 66, bucket, 2);
    set_number(identity + 68, self->buckets->worker, 2);
    identity[70] = entry[133];

    const Piece of_index = {entry, sizeof entry}, of_ids = {identity, sizeof identity};
    if (count_license(self, one->license) < 0 || append_pieces(self->buckets, DATA, bucket, pieces, 6) < 0
        || append_pieces(self->buckets, INDEX, bucket, &of_index, 1) < 0
        || append_pieces(self->buckets, IDS, bucket_of(self->buckets, mark), &of_ids, 1) < 0)
        return FAILED;
    self->next++;
    self->has_category |= one->category.size > 0;
    self->has_meta |= one->meta.size > 0;
    self->has_made_ids |= one->has_own_id
                          && (memchr(one->identity.at, '#', one->identity.size) != NULL || memchr(one->identity.at, '~', one->identity.size) != NULL);
    return YES;
}

static void put_made_id(Buffer *to, const uint8_t *digest)
{
    to->size = 0;
    PUT_TEXT(to, "\"");
    put_hex(to, digest, 8);
    PUT_TEXT(to, "\"");
}

/* Whether an item of the table begins here; how long it is, or 0. */
static size_t item_at(const Table *table, const uint8_t *at, size_t left)
{
    if (left == 0 || !table->begins[*at] || (left > 1 && !table->goes_on[at[1]]))
        return 0;
    for (int i = 0; i < table->count; i++)
        if (table->items[i].size <= left && memcmp(at, table->items[i].at, table->items[i].size) == 0)
            return table->items[i].size;
    return 0;
}

static int is_blank(const Table *spaces, Piece text)
{
    while (text.size) {
        const size_t length = item_at(spaces, text.at, text.size);
        if (length == 0)
            return NO;
        text.at += length;
        text.size -= length;
    }
    return YES;
}

/* Whether a text holds one of the tokens, which begin with < or [. */
static int holds_token(const Table *tokens, Piece text)
{
    static const char begins[2] = {'<', '['};
    const uint8_t *end = text.at + text.size;
    for (int i = 0; i < 2; i++) {
        const uint8_t *at = text.at;
        while (at < end && (at = memchr(at, begins[i], (size_t)(end - at))) != NULL) {
            if (item_at(tokens, at, (size_t)(end - at)))
                return YES;
            at++;
        }
    }
    return NO;
}

/* The role that the string at line->at names; NULL where it is none, or is written with escapes. */
static const Role *take_role(const Role *roles, int count, Line *line)
{
    for (int i = 0; i < count; i++) {
        const Piece name = roles[i].name;
        if ((size_t)(line->end - line->at) > name.size + 1 && line->at[0] == '"' && line->at[name.size + 1] == '"'
            && memcmp(line->at + 1, name.at, name.size) == 0) {
            line->at += name.size + 2;
            return &roles[i];
        }
    }
    return NULL;
}

static int takes_name(Line *line, Piece name)
{
    if ((size_t)(line->end - line->at) < name.size + 2 || line->at[0] != '"' || line->at[name.size + 1] != '"'
        || memcmp(line->at + 1, name.at, name.size) != 0)
        return NO;
    line->at += name.size + 2;
    return YES;
}

/* One message: an object of a role and a text, in RFC 8785 form. */
static int take_message(Rows *self, Line *line)
{
    const Role *role = NULL;
    size_t begin = 0, end = 0;
    if (!takes(line, '{') || make_room(&self->messages, 64) < 0)
        return PyErr_Occurred() ? FAILED : NO;
    PUT_TEXT(&self->messages, "{\"content\":");
    for (int i = 0; i < 2; i++) {
        if (i && !takes(line, ','))
            return NO;
        const int is_content = takes_name(line, self->content_name);
        if ((!is_content && !takes_name(line, self->role_name)) || !takes(line, ':'))
            return NO;
        if (is_content) {
            if (end)
                return NO;
            begin = self->messages.size + 1;
            const int code = put_string(line, &self->messages);
            if (code != YES)
                return code;
            end = self->messages.size - 1;
        } else if (role != NULL || (role = take_role(self->roles, self->role_count, line)) == NULL) {
            return NO;
        }
    }
    if (!takes(line, '}'))
        return NO;
    const Piece text = {self->messages.at + begin, end - begin};
    if (((role->traits & NOT_BLANK) && is_blank(&self->spaces, text)) || holds_token(&self->tokens, text))
        return NO;
    self->answered |= (role->traits & ANSWERS) != 0;
    if (make_room(&self->messages, role->end.size + 16) < 0)
        return FAILED;
    put_piece(&self->messages, role->end);
    return YES;
}

#define BEFORE "{\"messages\":"
#define AFTER ",\"tools\":\"\"}"

/* The list of messages, with what the digest wants around it. */
static int take_messages(Rows *self, Line *line)
{
    self->messages.size = self->messages_from;
    self->answered = 0;
    if (!takes(line, '['))
        return OTHER;
    if (make_room(&self->messages, 64) < 0)
        return FAILED;
    PUT_TEXT(&self->messages, BEFORE "[");
    do {
        const int code = take_message(self, line);
        if (code != YES)
            return code;
        PUT_TEXT(&self->messages, ","); /* after a message there is room for it */
    } while (takes(line, ','));
    if (!takes(line, ']') || !self->answered || make_room(&self->messages, 64) < 0)
        return PyErr_Occurred() ? FAILED : NO;
    self->messages.size--; /* the last comma */
    PUT_TEXT(&self->messages, "]" AFTER);
    return YES;
}

static int take_value(Rows *self, Line *line, int kind)
{
    if ((kind & FIELD_TYPE) == IS_MESSAGES)
        return kind & GIVES_ID ? NO : take_messages(self, line);
    if ((kind & FIELD_TYPE) == IS_TEXT) {
        Buffer *to = kind & GIVES_ID ? &self->id : &self->spare;
        const size_t from = kind & GIVES_ID ? self->id_from : 0;
        to->size = from;
        if (!next_is(line, '"'))
            return OTHER;
        const int code = put_string(line, to);
        return code == YES && kind & GIVES_ID && to->size - from == 2 ? NO : code;
    }
    if (next_is(line, '"'))
        return OTHER;
    const Piece text = {line->at, 0};
    int is_integer;
    if (!takes_scalar(line, &is_integer) || (kind & GIVES_ID && !is_integer))
        return NO;
    if (kind & GIVES_ID) {
        const size_t size = (size_t)(line->at - text.at);
        self->id.size = self->id_from;
        if (make_room(&self->id, size + 2) < 0)
            return FAILED;
        PUT_TEXT(&self->id, "\"");
        put(&self->id, text.at, size);
        PUT_TEXT(&self->id, "\"");
    }
    return YES;
}

static int find_field(const Shape *shape, Line *line, int guess)
{
    for (int i = 0; i < shape->count; i++) {
        const int field = (guess + i) % shape->count;
        if (takes_name(line, shape->fields[field].name))
            return field;
    }
    return -1;
}

/* A whole line as a record of this shape. */
static int take_record(Rows *self, const Shape *shape, Line line)
{
    uint64_t seen = 0;
    int field = -1;
    self->has_id = 0;
    if (!takes(&line, '{'))
        return NO;
    do {
        field = find_field(shape, &line, field + 1);
        if (field < 0)
            return OTHER;
        if (seen >> field & 1 || !takes(&line, ':'))
            return NO;
        seen |= (uint64_t)1 << field;
        const uint8_t *from = line.at;
        const int code = take_value(self, &line, shape->fields[field].kind);
        if (code != YES)
            return code;
        self->asked[field] = (Piece){from, (size_t)(line.at - from)};
        self->has_id |= (shape->fields[field].kind & GIVES_ID) != 0;
    } while (takes(&line, ','));
    if (!takes(&line, '}') || line.at != line.end)
        return NO;
    return seen == shape->all ? YES : OTHER;
}

/* The answer to a question about the fields that it reads, whose JSON texts are joined to a list: ask(shape, question, list) is called once for each
   different list. A new reference. */
static PyObject *answer(Rows *self, Shape *shape, int question, PyObject *ask)
{
    Buffer *key = &self->spare;
    PyObject *known = shape->known[question];
    key->size = 0;
    for (int i = 0; i < shape->count; i++) {
        if (!(shape->fields[i].kind & IS_ASKED << question))
            continue;
        if (make_room(key, self->asked[i].size + 8) < 0)
            return NULL;
        put(key, key->size ? "," : "[", 1);
        put_piece(key, self->asked[i]);
    }
    PyObject **last = shape->last[question];
    Piece before;
    if (last[0] != NULL && piece_of(last[0], &before) == YES && before.size == key->size && (key->size == 0 || memcmp(before.at, key->at, key->size) == 0)) {
        Py_INCREF(last[1]);
        return last[1];
    }
    PyObject *text = PyBytes_FromStringAndSize((const char *)key->at, (Py_ssize_t)key->size);
    if (text == NULL)
        return NULL;
    PyObject *found = PyDict_GetItemWithError(known, text);
    Py_XINCREF(found);
    if (found == NULL && !PyErr_Occurred()) {
        found = PyObject_CallFunction(ask, "iiO", shape->number, question, text);
        if (found != NULL && PyDict_Size(known) < REMEMBERED && PyDict_SetItem(known, text, found) < 0)
            Py_CLEAR(found);
    }
    if (found != NULL) {
        Py_INCREF(found);
        Py_XDECREF(last[0]);
        Py_XDECREF(last[1]);
        last[0] = text;
        last[1] = found;
    } else {
        Py_DECREF(text);
    }
    return found;
}

static void clear_waiting(Rows *self)
{
    for (; self->waiting_count; self->waiting_count--) {
        Py_DECREF(self->waiting[self->waiting_count - 1].category);
        Py_DECREF(self->waiting[self->waiting_count - 1].meta);
    }
    self->messages_from = self->id_from = 0;
}

/* Those that wait become candidates. */
static int keep_waiting(Rows *self)
{
    uint8_t digests[MOST_WAITING][DIGEST], made[2 + 16];
    size_t from = 0;
    int code = YES;
    sha256_pieces((Sha256Pieces){self->messages.at, self->messages_ends, (size_t)self->waiting_count, 0, digests[0]});
    for (int i = 0; i < self->waiting_count && code == YES; i++) {
        const Waiting *its = &self->waiting[i];
        Candidate one = {.digest = digests[i], .license = its->license, .record = its->record, .line = its->line, .has_own_id = its->id_size > 0};
        Buffer id = {made, 0, sizeof made};
        if (!one.has_own_id)
            put_made_id(&id, digests[i]);
        one.identity = one.has_own_id ? (Piece){self->id.at + its->id_from, its->id_size} : (Piece){id.at, id.size};
        one.body[0] = TEXT(",\"messages\":");
        one.body[1] = (Piece){self->messages.at + from + sizeof BEFORE - 1, self->messages_ends[i] - from - (sizeof BEFORE - 1) - (sizeof AFTER - 1)};
        from = self->messages_ends[i];
        code = piece_of(its->category, &one.category) == YES && piece_of(its->meta, &one.meta) == YES ? keep_candidate(self, &one) : FAILED;
    }
    clear_waiting(self);
    return code;
}

/* The record that was just taken waits. */
static int wait_for_others(Rows *self, PyObject *category, PyObject *meta, unsigned license, uint64_t record, uint64_t line)
{
    Waiting *its = &self->waiting[self->waiting_count];
    *its = (Waiting){category, meta, record, line, self->id_from, self->has_id ? self->id.size - self->id_from : 0, license};
    Py_INCREF(category);
    Py_INCREF(meta);
    self->messages_from = self->messages_ends[self->waiting_count++] = self->messages.size;
    self->id_from += its->id_size;
    return self->waiting_count == MOST_WAITING || self->messages_from >= ENOUGH_WAITING ? keep_waiting(self) : YES;
}

/* A record that was taken: a candidate, or lost. Category and meta are JSON text; the licence is asked last, because it is counted from then on, and
   is a number, or why the row is lost. None says that the long way has something to say. */
static int finish_record(Rows *self, Shape *shape, PyObject *ask, PyObject *lose, uint64_t record, uint64_t line)
{
    PyObject *answers[QUESTIONS] = {NULL};
    int code = YES;
    for (int i = 0; i < QUESTIONS && code == YES; i++) {
        answers[i] = answer(self, shape, i, ask);
        code = answers[i] == NULL ? FAILED : answers[i] != Py_None;
    }
    if (code == YES && !PyLong_Check(answers[LICENSE])) {
        PyObject *done = PyObject_CallFunction(lose, "OKK", answers[LICENSE], (unsigned long long)record, (unsigned long long)line);
        code = done != NULL ? YES : FAILED;
        Py_XDECREF(done);
    } else if (code == YES) {
        const unsigned license = (unsigned)PyLong_AsUnsignedLong(answers[LICENSE]);
        code = PyErr_Occurred() ? FAILED : wait_for_others(self, answers[CATEGORY], answers[META], license, record, line);
    }
    for (int i = 0; i < QUESTIONS; i++)
        Py_XDECREF(answers[i]);
    return code;
}

static int take_line(Rows *self, Line text, PyObject *ask, PyObject *lose, uint64_t record, uint64_t line)
{
    for (int i = 0; i < self->shape_count; i++) {
        Shape *shape = self->shapes[i];
        const int code = take_record(self, shape, text);
        if (code == OTHER)
            continue;
        memmove(self->shapes + 1, self->shapes, (size_t)i * sizeof *self->shapes);
        self->shapes[0] = shape;
        return code == YES ? finish_record(self, shape, ask, lose, record, line) : code;
    }
    return NO;
}

static int read_table(Table *table, PyObject *items)
{
    Py_ssize_t count = PyTuple_Check(items) ? PyTuple_Size(items) : -1;
    if (count < 0 || count > MOST_TABLE) {
        PyErr_SetString(PyExc_ValueError, "a tuple of not too many texts is needed");
        return FAILED;
    }
    for (Py_ssize_t i = 0; i < count; i++) {
        Piece *item = &table->items[i];
        if (piece_of(PyTuple_GetItem(items, i), item) < 0)
            return FAILED;
        if (item->size == 0) {
            PyErr_SetString(PyExc_ValueError, "a text is empty");
            return FAILED;
        }
        table->begins[item->at[0]] = 1;
        if (item->size > 1)
            table->goes_on[item->at[1]] = 1;
        else
            memset(table->goes_on, 1, sizeof table->goes_on);
    }
    table->count = (int)count;
    return YES;
}

static int read_roles(Role *to, int *how_many, PyObject *roles)
{
    Py_ssize_t count = PyTuple_Check(roles) ? PyTuple_Size(roles) : -1;
    if (count < 0 || count > MOST_TABLE) {
        PyErr_SetString(PyExc_ValueError, "a tuple of not too many roles is needed");
        return FAILED;
    }
    for (Py_ssize_t i = 0; i < count; i++) {
        PyObject *name, *end, *role = PyTuple_GetItem(roles, i);
        if (!PyTuple_Check(role) || !PyArg_ParseTuple(role, "OOi", &name, &end, &to[i].traits)
            || piece_of(name, &to[i].name) < 0 || piece_of(end, &to[i].end) < 0) {
            if (!PyErr_Occurred())
                PyErr_SetString(PyExc_TypeError, "a role is a tuple");
            return FAILED;
        }
    }
    *how_many = (int)count;
    return YES;
}

static int read_keyed(Rows *self, Piece tail)
{
    static const uint8_t nothing[DIGEST + 12] = {0};
    if (make_room(&self->keyed, 1 + tail.size + sizeof nothing) < 0 || make_room(&self->id, 64) < 0)
        return FAILED;
    put(&self->keyed, "", 1);
    put_piece(&self->keyed, tail);
    put(&self->keyed, nothing, sizeof nothing);
    return YES;
}

/* Rows(buckets, module, task, first, (tail, role key, content key, roles, tokens, spaces)): tail is what the keys hash after the purpose. */
static PyObject *rows_new(PyTypeObject *type, PyObject *args, PyObject *Py_UNUSED(kwargs))
{
    PyObject *buckets, *keep, *tail, *role_name, *content_name, *roles, *tokens, *spaces;
    unsigned module, task;
    unsigned long long first;
    Piece tail_piece;
    if (!PyArg_ParseTuple(args, "O!IIKO!", buckets_type, &buckets, &module, &task, &first, &PyTuple_Type, &keep)
        || !PyArg_ParseTuple(keep, "OOOOOO", &tail, &role_name, &content_name, &roles, &tokens, &spaces))
        return NULL;
    Rows *self = (Rows *)PyType_GenericAlloc(type, 0);
    if (self == NULL)
        return NULL;
    Py_INCREF(keep);
    self->keep = keep;
    Py_INCREF(buckets);
    self->buckets = (Buckets *)buckets;
    self->module = module;
    self->task = task;
    self->next = first;
    if (piece_of(tail, &tail_piece) < 0 || piece_of(role_name, &self->role_name) < 0 || piece_of(content_name, &self->content_name) < 0
        || read_roles(self->roles, &self->role_count, roles) < 0 || read_table(&self->tokens, tokens) < 0 || read_table(&self->spaces, spaces) < 0
        || read_keyed(self, tail_piece) < 0) {
        Py_DECREF(self);
        return NULL;
    }
    return (PyObject *)self;
}

static void free_shape(Shape *shape)
{
    Py_XDECREF(shape->keep);
    for (int i = 0; i < QUESTIONS; i++) {
        Py_XDECREF(shape->known[i]);
        Py_XDECREF(shape->last[i][0]);
        Py_XDECREF(shape->last[i][1]);
    }
    PyMem_Free(shape);
}

static void rows_dealloc(PyObject *object)
{
    Rows *self = (Rows *)object;
    for (int i = 0; i < self->shape_count; i++)
        free_shape(self->shapes[i]);
    clear_waiting(self);
    clear_buffer(&self->keyed);
    clear_buffer(&self->messages);
    clear_buffer(&self->id);
    clear_buffer(&self->spare);
    PyMem_Free(self->counts);
    Py_XDECREF(self->keep);
    Py_XDECREF((PyObject *)self->buckets);
    PyTypeObject *type = Py_TYPE(object);
    PyObject_Free(object);
    Py_DECREF(type);
}

static int read_fields(Shape *shape, PyObject *fields)
{
    shape->count = (int)PyTuple_Size(fields);
    for (int i = 0; i < shape->count; i++) {
        PyObject *name, *field = PyTuple_GetItem(fields, i);
        if (!PyTuple_Check(field) || !PyArg_ParseTuple(field, "Oi", &name, &shape->fields[i].kind) || piece_of(name, &shape->fields[i].name) < 0) {
            if (!PyErr_Occurred())
                PyErr_SetString(PyExc_TypeError, "a field is a tuple");
            return FAILED;
        }
        shape->all |= (uint64_t)1 << i;
    }
    return YES;
}

/* shape(number, ((name, kind), ...)): a set of fields that records may have from now on. */
static PyObject *rows_shape(PyObject *object, PyObject *args)
{
    Rows *self = (Rows *)object;
    PyObject *fields;
    int number;
    if (!PyArg_ParseTuple(args, "iO!", &number, &PyTuple_Type, &fields))
        return NULL;
    if (self->shape_count == MOST_SHAPES || PyTuple_Size(fields) < 1 || PyTuple_Size(fields) > MOST_FIELDS) {
        PyErr_SetString(PyExc_ValueError, "too many shapes or fields");
        return NULL;
    }
    Shape *shape = PyMem_Calloc(1, sizeof *shape);
    if (shape == NULL)
        return PyErr_NoMemory();
    Py_INCREF(fields);
    shape->keep = fields;
    shape->number = number;
    for (int i = 0; i < QUESTIONS; i++)
        shape->known[i] = PyDict_New();
    if (shape->known[0] == NULL || shape->known[1] == NULL || shape->known[2] == NULL || read_fields(shape, fields) < 0) {
        free_shape(shape);
        return NULL;
    }
    self->shapes[self->shape_count++] = shape;
    Py_RETURN_NONE;
}

/* take(record, line, text, (at, end), longest, ask, lose) -> how many lines of text[at:end] were dealt with, and where the next one begins. The numbers
   are those of the first; a line longer than longest is left. */
static PyObject *rows_take(PyObject *object, PyObject *args)
{
    Rows *self = (Rows *)object;
    unsigned long long record, line;
    PyObject *given, *ask, *lose;
    Py_ssize_t at, end, longest, done = 0;
    Piece text;
    if (!PyArg_ParseTuple(args, "KKO(nn)nOO", &record, &line, &given, &at, &end, &longest, &ask, &lose) || piece_of(given, &text) < 0)
        return NULL;
    if (at < 0 || at > end || (size_t)end > text.size) {
        PyErr_SetString(PyExc_ValueError, "there is no such part of the text");
        return NULL;
    }
    while (at < end) {
        const uint8_t *begin = text.at + at, *stop = memchr(begin, '\n', (size_t)(end - at));
        const Line one = {begin, stop != NULL ? stop : text.at + end};
        if (one.end - one.at > longest)
            break;
        const int code = take_line(self, one, ask, lose, record + (uint64_t)done, line + (uint64_t)done);
        if (code < 0)
            return NULL;
        if (code != YES)
            break;
        done++;
        at = stop != NULL ? (Py_ssize_t)(stop - text.at) + 1 : end;
    }
    return keep_waiting(self) == YES ? Py_BuildValue("nn", done, at) : NULL;
}

/* add(digest, own id or None, body, tools, category, meta, license, bits, record, line, part): a candidate that came the long way. */
static PyObject *rows_add(PyObject *object, PyObject *args)
{
    Rows *self = (Rows *)object;
    PyObject *id;
    const char *texts[5];
    Py_ssize_t sizes[5];
    unsigned long long record, line;
    Candidate one = {0};
    if (!PyArg_ParseTuple(args, "y#Oy#y#y#y#IIKKI", &texts[0], &sizes[0], &id, &texts[1], &sizes[1], &texts[2], &sizes[2], &texts[3], &sizes[3],
                          &texts[4], &sizes[4], &one.license, &one.bits, &record, &line, &one.part))
        return NULL;
    Piece pieces[5];
    for (int i = 0; i < 5; i++)
        pieces[i] = (Piece){(const uint8_t *)texts[i], (size_t)sizes[i]};
    if (sizes[0] != DIGEST) {
        PyErr_SetString(PyExc_ValueError, "a digest has 32 bytes");
        return NULL;
    }
    one.digest = pieces[0].at;
    one.has_own_id = id != Py_None;
    if (one.has_own_id) {
        if (piece_of(id, &one.identity) < 0)
            return NULL;
    } else {
        put_made_id(&self->id, one.digest);
        one.identity = (Piece){self->id.at, self->id.size};
    }
    one.body[0] = pieces[1];
    one.tools = pieces[2];
    one.category = pieces[3];
    one.meta = pieces[4];
    one.record = record;
    one.line = line;
    if (keep_candidate(self, &one) < 0)
        return NULL;
    Py_RETURN_NONE;
}

/* found() -> candidates by licence, and whether any has a category, a meta, an id that looks like one that is made. */
static PyObject *rows_found(PyObject *object, PyObject *Py_UNUSED(ignored))
{
    Rows *self = (Rows *)object;
    PyObject *counts = PyList_New(0);
    for (size_t i = 0; counts != NULL && i < self->licenses; i++) {
        PyObject *count = PyLong_FromUnsignedLongLong(self->counts[i]);
        if (count == NULL || PyList_Append(counts, count) < 0)
            Py_CLEAR(counts);
        Py_XDECREF(count);
    }
    if (counts == NULL)
        return NULL;
    return Py_BuildValue("NOOO", counts, self->has_category ? Py_True : Py_False, self->has_meta ? Py_True : Py_False,
                         self->has_made_ids ? Py_True : Py_False);
}

#endif
