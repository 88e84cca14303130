/* The hashes of two streams at a time: the processor's instructions for one wait for each other, and have time for those of another. */

#ifndef TEAPOT_PAIRHASHER_H
#define TEAPOT_PAIRHASHER_H

typedef struct {
    PyObject_HEAD
    uint32_t states[2][8];
    uint64_t sizes[2];
    uint8_t held[2][64]; /* the last sizes % 64 bytes */
} PairHasher;

static void pairhasher_begin(PairHasher *self, int lane)
{
    memcpy(self->states[lane], SHA256_START, sizeof self->states[lane]);
    self->sizes[lane] = 0;
}

static PyObject *pairhasher_new(PyTypeObject *type, PyObject *args, PyObject *Py_UNUSED(kwargs))
{
    if (!PyArg_ParseTuple(args, ""))
        return NULL;
    PairHasher *self = (PairHasher *)PyType_GenericAlloc(type, 0);
    if (self != NULL)
        for (int lane = 0; lane < 2; lane++)
            pairhasher_begin(self, lane);
    return (PyObject *)self;
}

static void pairhasher_dealloc(PyObject *object)
{
    PyTypeObject *type = Py_TYPE(object);
    PyObject_Free(object);
    Py_DECREF(type);
}

/* Fill up what is held of a lane; what is left of the data begins at a whole block. */
static void pairhasher_fill(PairHasher *self, int lane, const uint8_t **data, size_t *size)
{
    const size_t filled = self->sizes[lane] % 64, wanted = filled ? 64 - filled : 0, taken = *size < wanted ? *size : wanted;
    self->sizes[lane] += *size;
    if (taken)
        memcpy(self->held[lane] + filled, *data, taken);
    if (wanted && taken == wanted)
        sha256_blocks(self->states[lane], self->held[lane], 1);
    *data += taken;
    *size -= taken;
}

static void pairhasher_take(PairHasher *self, const uint8_t *data[2], size_t sizes[2])
{
    for (int lane = 0; lane < 2; lane++)
        pairhasher_fill(self, lane, &data[lane], &sizes[lane]);
    const size_t blocks[2] = {sizes[0] / 64, sizes[1] / 64};
    sha256_both(self->states, data, blocks);
    for (int lane = 0; lane < 2; lane++)
        if (sizes[lane] % 64)
            memcpy(self->held[lane], data[lane] + 64 * blocks[lane], sizes[lane] % 64);
}

/* update(first, second): the next bytes of each stream. Other threads go on meanwhile; they must leave this object alone. */
static PyObject *pairhasher_update(PyObject *object, PyObject *args)
{
    const char *first, *second;
    Py_ssize_t first_size, second_size;
    if (!PyArg_ParseTuple(args, "y#y#", &first, &first_size, &second, &second_size))
        return NULL;
    const uint8_t *data[2] = {(const uint8_t *)first, (const uint8_t *)second};
    size_t sizes[2] = {(size_t)first_size, (size_t)second_size};
    Py_BEGIN_ALLOW_THREADS
    pairhasher_take((PairHasher *)object, data, sizes);
    Py_END_ALLOW_THREADS
    Py_RETURN_NONE;
}

/* finish(lane) -> the SHA-256 of that stream; then another one begins there. */
static PyObject *pairhasher_finish(PyObject *object, PyObject *args)
{
    PairHasher *self = (PairHasher *)object;
    int lane;
    uint8_t digest[DIGEST];
    if (!PyArg_ParseTuple(args, "i", &lane))
        return NULL;
    if (lane < 0 || lane > 1) {
        PyErr_SetString(PyExc_ValueError, "there are two streams, 0 and 1");
        return NULL;
    }
    sha256_end(self->states[lane], self->held[lane], self->sizes[lane], digest);
    pairhasher_begin(self, lane);
    return hex_text(digest);
}

static PyMethodDef pairhasher_methods[] = {
    {"update", pairhasher_update, METH_VARARGS, NULL}, {"finish", pairhasher_finish, METH_VARARGS, NULL}, {NULL, NULL, 0, NULL}};

#endif
