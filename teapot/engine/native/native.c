/* teapot.engine._native: the work of each row in the first and the last pass, for plain chat lines, in one call for many of them.

   It decides only where it is certain, like the short way in Python (engine/shortway.py), whose rules it is given as data: what it does not take goes
   the long way, which words every finding. Whatever it writes is the same, byte for byte, as what Python writes without it.

   Memory: every read is checked against the end of the line or of the data; every write is into a Buffer or a Hold after room was made for it. Pieces
   point into bytes objects that a tuple keeps alive. All of it runs under the interpreter's lock, except where it says so. */

#define _GNU_SOURCE /* for sync_file_range */
#define PY_SSIZE_T_CLEAN
#include <Python.h>
#include <fcntl.h>

#include "hashes.h"
#include "text.h"

#define INTERFACE 5 /* raise it with every change of what Python calls: an older build is then not used */
#define MOST_SHAPES 8
#define MOST_FIELDS 64
#define MOST_TABLE 128
#define REMEMBERED 10000
#define DIGEST 32
#define OWN_ID 1

#include "buckets.h"
#include "rows.h"
#include "lines.h"
#include "checker.h"
#include "walk.h"
#include "ledger.h"
#include "blockhasher.h"
#include "pairhasher.h"

/* sha256(data, plain) -> digest; with plain, without the processor's instructions. */
static PyObject *native_sha256(PyObject *Py_UNUSED(module), PyObject *args)
{
    const char *data;
    Py_ssize_t size;
    int plain;
    uint8_t digest[DIGEST];
    if (!PyArg_ParseTuple(args, "y#p", &data, &size, &plain))
        return NULL;
    choose_sha256(plain);
    sha256((const uint8_t *)data, (size_t)size, digest);
    choose_sha256(0);
    return PyBytes_FromStringAndSize((const char *)digest, DIGEST);
}

/* text(data, plain) -> how much of it stands for itself in a JSON string, and the same as bytes that were copied; None where it is not UTF-8 before that.
   With plain, without the processor's vectors. */
static PyObject *native_text(PyObject *Py_UNUSED(module), PyObject *args)
{
    const char *data;
    Py_ssize_t size;
    int plain;
    Buffer to = {0};
    if (!PyArg_ParseTuple(args, "y#p", &data, &size, &plain) || make_room(&to, (size_t)size + 16) < 0)
        return NULL;
    choose_text(plain);
    const size_t skipped = skip_text((const uint8_t *)data, (size_t)size), copied = copy_text((const uint8_t *)data, (size_t)size, to.at);
    choose_text(0);
    PyObject *result = copied != BAD_TEXT ? Py_BuildValue("ny#", (Py_ssize_t)skipped, to.at, (Py_ssize_t)copied)
                       : skipped == BAD_TEXT ? Py_BuildValue("") : NULL;
    clear_buffer(&to);
    if (result == NULL && !PyErr_Occurred())
        PyErr_SetString(PyExc_RuntimeError, "copying says otherwise than skipping");
    return result;
}

/* blake2b(data, person of 16 bytes) -> digest of 16 bytes. */
static PyObject *native_blake2b(PyObject *Py_UNUSED(module), PyObject *args)
{
    const char *data, *person;
    Py_ssize_t size, person_size;
    uint8_t digest[16];
    if (!PyArg_ParseTuple(args, "y#y#", &data, &size, &person, &person_size))
        return NULL;
    if (person_size != 16) {
        PyErr_SetString(PyExc_ValueError, "a personalisation has 16 bytes");
        return NULL;
    }
    blake2b_16((const uint8_t *)data, (size_t)size, (const uint8_t *)person, digest);
    return PyBytes_FromStringAndSize((const char *)digest, sizeof digest);
}

static PyMethodDef functions[] = {
    {"lines", native_lines, METH_VARARGS, NULL},
    {"begin_writing", native_begin_writing, METH_VARARGS, NULL},
    {"entries", native_entries, METH_VARARGS, NULL},
    {"repeated", native_repeated, METH_O, NULL},
    {"unhex", native_unhex, METH_O, NULL},
    {"count", native_count, METH_VARARGS, NULL},
    {"content", native_content, METH_VARARGS, NULL},
    {"sha256", native_sha256, METH_VARARGS, NULL},
    {"text", native_text, METH_VARARGS, NULL},
    {"blake2b", native_blake2b, METH_VARARGS, NULL},
    {NULL, NULL, 0, NULL},
};

static PyMethodDef buckets_methods[] = {
    {"move", buckets_move, METH_VARARGS, NULL}, {"finish", buckets_finish, METH_NOARGS, NULL}, {NULL, NULL, 0, NULL}};

static PyMethodDef rows_methods[] = {
    {"shape", rows_shape, METH_VARARGS, NULL},
    {"take", rows_take, METH_VARARGS, NULL},
    {"add", rows_add, METH_VARARGS, NULL},
    {"found", rows_found, METH_NOARGS, NULL},
    {NULL, NULL, 0, NULL},
};

/* A slot's function, as the slots want it. */
#define SLOT(function) ((void *)(uintptr_t)(function))

static PyType_Slot buckets_slots[] = {
    {Py_tp_new, SLOT(buckets_new)}, {Py_tp_dealloc, SLOT(buckets_dealloc)}, {Py_tp_methods, buckets_methods}, {0, NULL}};
static PyType_Slot rows_slots[] = {{Py_tp_new, SLOT(rows_new)}, {Py_tp_dealloc, SLOT(rows_dealloc)}, {Py_tp_methods, rows_methods}, {0, NULL}};
static PyType_Slot hasher_slots[] = {
    {Py_tp_new, SLOT(hasher_new)}, {Py_tp_dealloc, SLOT(hasher_dealloc)}, {Py_tp_methods, hasher_methods}, {0, NULL}};
static PyType_Spec hasher_spec = {"teapot.engine._native.BlockHasher", sizeof(BlockHasher), 0, Py_TPFLAGS_DEFAULT, hasher_slots};
static PyType_Slot pairhasher_slots[] = {
    {Py_tp_new, SLOT(pairhasher_new)}, {Py_tp_dealloc, SLOT(pairhasher_dealloc)}, {Py_tp_methods, pairhasher_methods}, {0, NULL}};
static PyType_Spec pairhasher_spec = {"teapot.engine._native.PairHasher", sizeof(PairHasher), 0, Py_TPFLAGS_DEFAULT, pairhasher_slots};
static PyType_Slot checker_slots[] = {
    {Py_tp_new, SLOT(checker_new)}, {Py_tp_dealloc, SLOT(checker_dealloc)}, {Py_tp_methods, checker_methods}, {0, NULL}};
static PyType_Spec checker_spec = {"teapot.engine._native.Checker", sizeof(Checker), 0, Py_TPFLAGS_DEFAULT, checker_slots};
static PyType_Spec buckets_spec = {"teapot.engine._native.Buckets", sizeof(Buckets), 0, Py_TPFLAGS_DEFAULT, buckets_slots};
static PyType_Spec rows_spec = {"teapot.engine._native.Rows", sizeof(Rows), 0, Py_TPFLAGS_DEFAULT, rows_slots};

static int native_exec(PyObject *module)
{
    choose_sha256(0);
    choose_text(0);
    PyObject *types[] = {PyType_FromSpec(&buckets_spec), PyType_FromSpec(&rows_spec), PyType_FromSpec(&hasher_spec),
                         PyType_FromSpec(&checker_spec), PyType_FromSpec(&pairhasher_spec)};
    const char *names[] = {"Buckets", "Rows", "BlockHasher", "Checker", "PairHasher"};
    int code = PyModule_AddIntConstant(module, "INTERFACE", INTERFACE);
    for (int i = 0; i < 5; i++)
        if (code == 0)
            code = types[i] != NULL ? PyModule_AddObjectRef(module, names[i], types[i]) : FAILED;
    buckets_type = (PyTypeObject *)types[0]; /* kept for good */
    for (int i = 1; i < 5; i++)
        Py_XDECREF(types[i]);
    return code;
}

static PyModuleDef_Slot slots[] = {{Py_mod_exec, SLOT(native_exec)}, {0, NULL}};
static struct PyModuleDef definition = {PyModuleDef_HEAD_INIT, "_native", NULL, 0, functions, slots, NULL, NULL, NULL};

PyMODINIT_FUNC PyInit__native(void) { return PyModuleDef_Init(&definition); }
