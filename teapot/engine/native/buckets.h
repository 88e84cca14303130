/* Buckets: what is held back before it is written to a bucket's file. */

#ifndef TEAPOT_BUCKETS_H
#define TEAPOT_BUCKETS_H

enum { DATA, INDEX, IDS, KINDS };

typedef struct {
    uint8_t *at; /* NULL until it is used first */
    size_t size;
    uint64_t written; /* how long the file is with what is held here */
} Hold;

typedef struct {
    PyObject_HEAD
    int bits;
    unsigned worker;
    PyObject *write; /* write(kind, bucket, memory): append to the bucket's file */
    size_t room[KINDS];
    Hold *holds[KINDS];
} Buckets;

static PyTypeObject *buckets_type;

static int write_memory(Buckets *self, int kind, unsigned bucket, const uint8_t *at, size_t size)
{
    PyObject *view = PyMemoryView_FromMemory((char *)at, (Py_ssize_t)size, PyBUF_READ);
    return view == NULL ? FAILED : done_with(view, PyObject_CallFunction(self->write, "iIO", kind, bucket, view));
}

static int write_hold(Buckets *self, int kind, unsigned bucket)
{
    Hold *hold = &self->holds[kind][bucket];
    if (hold->size == 0)
        return YES;
    if (write_memory(self, kind, bucket, hold->at, hold->size) < 0)
        return FAILED;
    hold->size = 0;
    return YES;
}

/* Append pieces to a bucket. */
static int append_pieces(Buckets *self, int kind, unsigned bucket, const Piece *pieces, int count)
{
    Hold *hold = &self->holds[kind][bucket];
    size_t size = 0;
    for (int i = 0; i < count; i++)
        size += pieces[i].size;
    if (hold->size + size > self->room[kind] && write_hold(self, kind, bucket) < 0)
        return FAILED;
    if (hold->at == NULL && (hold->at = PyMem_Malloc(self->room[kind])) == NULL) {
        PyErr_NoMemory();
        return FAILED;
    }
    for (int i = 0; i < count; i++) {
        if (pieces[i].size > self->room[kind] - hold->size) { /* only where all of them are longer than a hold */
            if (write_hold(self, kind, bucket) < 0 || write_memory(self, kind, bucket, pieces[i].at, pieces[i].size) < 0)
                return FAILED;
        } else if (pieces[i].size) {
            memcpy(hold->at + hold->size, pieces[i].at, pieces[i].size);
            hold->size += pieces[i].size;
        }
    }
    hold->written += size;
    return YES;
}

static unsigned bucket_of(const Buckets *self, const uint8_t *key) { return self->bits ? (unsigned)(get_big_endian(key) >> (64 - self->bits)) : 0; }

static int read_sizes(Buckets *self, int kind, PyObject *sizes)
{
    const Py_ssize_t count = (Py_ssize_t)1 << self->bits;
    if (!PyTuple_Check(sizes) || PyTuple_Size(sizes) != count) {
        PyErr_SetString(PyExc_ValueError, "a size for each bucket is needed");
        return FAILED;
    }
    self->holds[kind] = PyMem_Calloc((size_t)count, sizeof(Hold));
    if (self->holds[kind] == NULL) {
        PyErr_NoMemory();
        return FAILED;
    }
    for (Py_ssize_t i = 0; i < count; i++)
        self->holds[kind][i].written = PyLong_AsUnsignedLongLong(PyTuple_GetItem(sizes, i));
    return PyErr_Occurred() ? FAILED : YES;
}

/* Buckets(worker, bits, write, rooms, sizes): rooms and sizes are tuples by kind, sizes of tuples by bucket. */
static PyObject *buckets_new(PyTypeObject *type, PyObject *args, PyObject *Py_UNUSED(kwargs))
{
    unsigned worker;
    int bits;
    PyObject *write, *sizes[KINDS];
    Py_ssize_t room[KINDS];
    if (!PyArg_ParseTuple(args, "IiO(nnn)(OOO)", &worker, &bits, &write, &room[0], &room[1], &room[2], &sizes[0], &sizes[1], &sizes[2]))
        return NULL;
    if (bits < 0 || bits > 16 || room[0] < 1 || room[1] < 1 || room[2] < 1) {
        PyErr_SetString(PyExc_ValueError, "not so many buckets");
        return NULL;
    }
    Buckets *self = (Buckets *)PyType_GenericAlloc(type, 0);
    if (self == NULL)
        return NULL;
    self->worker = worker;
    self->bits = bits;
    Py_INCREF(write);
    self->write = write;
    for (int kind = 0; kind < KINDS; kind++) {
        self->room[kind] = (size_t)room[kind];
        if (read_sizes(self, kind, sizes[kind]) < 0) {
            Py_DECREF(self);
            return NULL;
        }
    }
    return (PyObject *)self;
}

static void buckets_dealloc(PyObject *object)
{
    Buckets *self = (Buckets *)object;
    for (int kind = 0; kind < KINDS; kind++) {
        for (unsigned bucket = 0; self->holds[kind] != NULL && bucket < 1u << self->bits; bucket++)
            PyMem_Free(self->holds[kind][bucket].at);
        PyMem_Free(self->holds[kind]);
    }
    Py_XDECREF(self->write);
    PyTypeObject *type = Py_TYPE(object);
    PyObject_Free(object);
    Py_DECREF(type);
}

static PyObject *buckets_finish(PyObject *object, PyObject *Py_UNUSED(ignored))
{
    Buckets *self = (Buckets *)object;
    for (int kind = 0; kind < KINDS; kind++) {
        for (unsigned bucket = 0; bucket < 1u << self->bits; bucket++) {
            if (write_hold(self, kind, bucket) < 0)
                return NULL;
            PyMem_Free(self->holds[kind][bucket].at);
            self->holds[kind][bucket].at = NULL;
        }
    }
    Py_RETURN_NONE;
}

#endif
