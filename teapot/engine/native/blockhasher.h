/* The hashes of an output. */

#ifndef TEAPOT_BLOCKHASHER_H
#define TEAPOT_BLOCKHASHER_H

typedef struct {
    PyObject_HEAD
    uint64_t block, size, in_block; /* bytes of a block; of all; of the open block */
    uint32_t whole[8], part[8];
    uint8_t held[64];
    PyObject *digests; /* of the closed blocks, in hexadecimal digits */
} BlockHasher;

/* BlockHasher(block): the SHA-256 of a stream, and of each of its blocks of so many bytes, which must be a multiple of 64. */
static PyObject *hasher_new(PyTypeObject *type, PyObject *args, PyObject *Py_UNUSED(kwargs))
{
    unsigned long long block;
    if (!PyArg_ParseTuple(args, "K", &block))
        return NULL;
    if (block == 0 || block % 64) {
        PyErr_SetString(PyExc_ValueError, "a block must be a multiple of 64 bytes");
        return NULL;
    }
    BlockHasher *self = (BlockHasher *)PyType_GenericAlloc(type, 0);
    if (self == NULL)
        return NULL;
    self->block = block;
    memcpy(self->whole, SHA256_START, sizeof self->whole);
    memcpy(self->part, SHA256_START, sizeof self->part);
    self->digests = PyList_New(0);
    if (self->digests == NULL) {
        Py_DECREF(self);
        return NULL;
    }
    return (PyObject *)self;
}

static void hasher_dealloc(PyObject *object)
{
    Py_XDECREF(((BlockHasher *)object)->digests);
    PyTypeObject *type = Py_TYPE(object);
    PyObject_Free(object);
    Py_DECREF(type);
}

static PyObject *hex_text(const uint8_t digest[DIGEST])
{
    uint8_t text[2 * DIGEST];
    Buffer buffer = {text, 0, sizeof text};
    put_hex(&buffer, digest, DIGEST);
    return PyUnicode_FromStringAndSize((const char *)text, sizeof text);
}

static int close_block(BlockHasher *self)
{
    uint8_t digest[DIGEST];
    sha256_end(self->part, self->held, self->in_block, digest);
    memcpy(self->part, SHA256_START, sizeof self->part);
    self->in_block = 0;
    PyObject *text = hex_text(digest);
    const int code = text != NULL && PyList_Append(self->digests, text) == 0 ? YES : FAILED;
    Py_XDECREF(text);
    return code;
}

/* Take what does not reach beyond the open block. */
static int hash_in_block(BlockHasher *self, const uint8_t *data, size_t size)
{
    const size_t filled = self->size % 64, wanted = filled ? 64 - filled : 0;
    self->size += size;
    self->in_block += size;
    if (filled && size >= wanted) {
        memcpy(self->held + filled, data, wanted);
        sha256_pair(self->whole, self->part, self->held, 1);
        data += wanted;
        size -= wanted;
    } else if (filled) {
        memcpy(self->held + filled, data, size);
        return YES;
    }
    sha256_pair(self->whole, self->part, data, size / 64);
    memcpy(self->held, data + size / 64 * 64, size % 64);
    return self->in_block == self->block ? close_block(self) : YES;
}

static PyObject *hasher_update(PyObject *object, PyObject *args)
{
    BlockHasher *self = (BlockHasher *)object;
    const char *data;
    Py_ssize_t size;
    if (!PyArg_ParseTuple(args, "y#", &data, &size))
        return NULL;
    for (size_t at = 0; at < (size_t)size;) {
        const uint64_t room = self->block - self->in_block, left = (uint64_t)size - at;
        const size_t piece = (size_t)(left < room ? left : room);
        if (hash_in_block(self, (const uint8_t *)data + at, piece) < 0)
            return NULL;
        at += piece;
    }
    Py_RETURN_NONE;
}

/* finish() -> size, SHA-256 of the whole, those of the blocks; call it once, at the end. */
static PyObject *hasher_finish(PyObject *object, PyObject *Py_UNUSED(ignored))
{
    BlockHasher *self = (BlockHasher *)object;
    uint8_t digest[DIGEST];
    if (self->in_block && close_block(self) < 0)
        return NULL;
    sha256_end(self->whole, self->held, self->size, digest);
    PyObject *text = hex_text(digest);
    return text != NULL ? Py_BuildValue("KNO", (unsigned long long)self->size, text, self->digests) : NULL;
}

static PyMethodDef hasher_methods[] = {
    {"update", hasher_update, METH_VARARGS, NULL}, {"finish", hasher_finish, METH_NOARGS, NULL}, {NULL, NULL, 0, NULL}};

#endif
