/* SHA-256 (FIPS 180-4) and BLAKE2b (RFC 7693), of bytes that are all there. SHA-256 uses the processor's instructions where it has them. */

#ifndef TEAPOT_HASHES_H
#define TEAPOT_HASHES_H

#include <stddef.h>
#include <stdint.h>
#include <string.h>

/* Speed only: with the places of the words known, they stay in registers. */
#define PRAGMA(text) _Pragma(#text)
#if defined(__GNUC__)
#define UNROLLED(times) PRAGMA(GCC unroll times)
#else
#define UNROLLED(times)
#endif

static const uint32_t SHA256_K[64] = {
    0x428a2f98, 0x71374491, 0xb5c0fbcf, 0xe9b5dba5, 0x3956c25b, 0x59f111f1, 0x923f82a4, 0xab1c5ed5, 0xd807aa98, 0x12835b01, 0x243185be,
    0x550c7dc3, 0x72be5d74, 0x80deb1fe, 0x9bdc06a7, 0xc19bf174, 0xe49b69c1, 0xefbe4786, 0x0fc19dc6, 0x240ca1cc, 0x2de92c6f, 0x4a7484aa,
    0x5cb0a9dc, 0x76f988da, 0x983e5152, 0xa831c66d, 0xb00327c8, 0xbf597fc7, 0xc6e00bf3, 0xd5a79147, 0x06ca6351, 0x14292967, 0x27b70a85,
    0x2e1b2138, 0x4d2c6dfc, 0x53380d13, 0x650a7354, 0x766a0abb, 0x81c2c92e, 0x92722c85, 0xa2bfe8a1, 0xa81a664b, 0xc24b8b70, 0xc76c51a3,
    0xd192e819, 0xd6990624, 0xf40e3585, 0x106aa070, 0x19a4c116, 0x1e376c08, 0x2748774c, 0x34b0bcb5, 0x391c0cb3, 0x4ed8aa4a, 0x5b9cca4f,
    0x682e6ff3, 0x748f82ee, 0x78a5636f, 0x84c87814, 0x8cc70208, 0x90befffa, 0xa4506ceb, 0xbef9a3f7, 0xc67178f2,
};

static const uint32_t SHA256_START[8] = {
    0x6a09e667, 0xbb67ae85, 0x3c6ef372, 0xa54ff53a, 0x510e527f, 0x9b05688c, 0x1f83d9ab, 0x5be0cd19,
};

/* Takes whole blocks of 64 bytes into a state; the same blocks, or others, into two states at once, which with the processor's instructions takes
   hardly longer. */
typedef void (*Sha256Blocks)(uint32_t state[8], const uint8_t *data, size_t blocks);
typedef void (*Sha256Pair)(uint32_t one[8], uint32_t other[8], const uint8_t *data, size_t blocks);
typedef void (*Sha256Twins)(uint32_t states[2][8], const uint8_t *one, const uint8_t *other, size_t blocks);

static uint32_t rotated_right(uint32_t value, int by) { return value >> by | value << (32 - by); }

static uint32_t big_endian_32(const uint8_t *from)
{
    return (uint32_t)from[0] << 24 | (uint32_t)from[1] << 16 | (uint32_t)from[2] << 8 | from[3];
}

/* The roles of the eight words move by one each round, so that nothing is copied. */
static void sha256_round(uint32_t v[8], int i, uint32_t word)
{
    uint32_t a = v[(64 - i) & 7], b = v[(65 - i) & 7], c = v[(66 - i) & 7], e = v[(68 - i) & 7], f = v[(69 - i) & 7], g = v[(70 - i) & 7];
    uint32_t one = v[(71 - i) & 7] + (rotated_right(e, 6) ^ rotated_right(e, 11) ^ rotated_right(e, 25)) + (g ^ (e & (f ^ g))) + word;
    v[(67 - i) & 7] += one;
    v[(71 - i) & 7] = one + (rotated_right(a, 2) ^ rotated_right(a, 13) ^ rotated_right(a, 22)) + ((a & b) | (c & (a | b)));
}

static void sha256_blocks_plain(uint32_t state[8], const uint8_t *data, size_t blocks)
{
    for (; blocks; blocks--, data += 64) {
        uint32_t w[64], v[8];
        for (int i = 0; i < 16; i++)
            w[i] = big_endian_32(data + 4 * i);
        for (int i = 16; i < 64; i++) {
            uint32_t a = w[i - 15], b = w[i - 2];
            w[i] = w[i - 16] + w[i - 7] + (rotated_right(a, 7) ^ rotated_right(a, 18) ^ a >> 3)
                   + (rotated_right(b, 17) ^ rotated_right(b, 19) ^ b >> 10);
        }
        memcpy(v, state, sizeof v);
        UNROLLED(64)
        for (int i = 0; i < 64; i++)
            sha256_round(v, i, SHA256_K[i] + w[i]);
        for (int i = 0; i < 8; i++)
            state[i] += v[i];
    }
}

static void sha256_pair_plain(uint32_t one[8], uint32_t other[8], const uint8_t *data, size_t blocks)
{
    sha256_blocks_plain(one, data, blocks);
    sha256_blocks_plain(other, data, blocks);
}

static void sha256_twins_plain(uint32_t states[2][8], const uint8_t *one, const uint8_t *other, size_t blocks)
{
    sha256_blocks_plain(states[0], one, blocks);
    sha256_blocks_plain(states[1], other, blocks);
}

#if defined(__x86_64__) && defined(__GNUC__)
#include <cpuid.h>
#include <immintrin.h>
#define TEAPOT_SHA_NI 1

#define SHA_NI __attribute__((target("sha,sse4.1,ssse3")))

typedef struct {
    __m128i abef, cdgh;
} NiState;

SHA_NI static inline NiState ni_loaded(const uint32_t state[8])
{
    const __m128i low = _mm_shuffle_epi32(_mm_loadu_si128((const __m128i *)state), 0xb1);
    const __m128i high = _mm_shuffle_epi32(_mm_loadu_si128((const __m128i *)(state + 4)), 0x1b);
    return (NiState){_mm_alignr_epi8(low, high, 8), _mm_blend_epi16(high, low, 0xf0)};
}

SHA_NI static inline void ni_store(uint32_t state[8], NiState from)
{
    const __m128i low = _mm_shuffle_epi32(from.abef, 0x1b), high = _mm_shuffle_epi32(from.cdgh, 0xb1);
    _mm_storeu_si128((__m128i *)state, _mm_blend_epi16(low, high, 0xf0));
    _mm_storeu_si128((__m128i *)(state + 4), _mm_alignr_epi8(high, low, 8));
}

/* Four rounds: the instruction does two, and takes its constants from the lower half. */
SHA_NI static inline void ni_rounds(NiState *state, __m128i words)
{
    state->cdgh = _mm_sha256rnds2_epu32(state->cdgh, state->abef, words);
    state->abef = _mm_sha256rnds2_epu32(state->abef, state->cdgh, _mm_shuffle_epi32(words, 0x0e));
}

/* The next four words, from these four times four words. */
SHA_NI static inline __m128i ni_words(__m128i w[4], int i, const uint8_t *data)
{
    const __m128i turn = _mm_set_epi64x(0x0c0d0e0f08090a0b, 0x0405060700010203);
    const int own = i & 3, next = (i + 1) & 3, after = (i + 2) & 3, last = (i + 3) & 3;
    if (i < 4)
        w[own] = _mm_shuffle_epi8(_mm_loadu_si128((const __m128i *)(data + 16 * i)), turn);
    else
        w[own] = _mm_sha256msg2_epu32(_mm_add_epi32(_mm_sha256msg1_epu32(w[own], w[next]), _mm_alignr_epi8(w[last], w[after], 4)), w[last]);
    return _mm_add_epi32(w[own], _mm_loadu_si128((const __m128i *)(SHA256_K + 4 * i)));
}

SHA_NI static inline void ni_add(NiState *state, NiState before)
{
    state->abef = _mm_add_epi32(state->abef, before.abef);
    state->cdgh = _mm_add_epi32(state->cdgh, before.cdgh);
}

SHA_NI static void sha256_blocks_ni(uint32_t state[8], const uint8_t *data, size_t blocks)
{
    NiState one = ni_loaded(state);
    for (; blocks; blocks--, data += 64) {
        const NiState before = one;
        __m128i w[4];
        UNROLLED(16)
        for (int i = 0; i < 16; i++)
            ni_rounds(&one, ni_words(w, i, data));
        ni_add(&one, before);
    }
    ni_store(state, one);
}

SHA_NI static void sha256_pair_ni(uint32_t first[8], uint32_t second[8], const uint8_t *data, size_t blocks)
{
    NiState one = ni_loaded(first), other = ni_loaded(second);
    for (; blocks; blocks--, data += 64) {
        const NiState before_one = one, before_other = other;
        __m128i w[4];
        UNROLLED(16)
        for (int i = 0; i < 16; i++) {
            const __m128i words = ni_words(w, i, data);
            ni_rounds(&one, words);
            ni_rounds(&other, words);
        }
        ni_add(&one, before_one);
        ni_add(&other, before_other);
    }
    ni_store(first, one);
    ni_store(second, other);
}

SHA_NI static void sha256_twins_ni(uint32_t states[2][8], const uint8_t *first, const uint8_t *second, size_t blocks)
{
    NiState one = ni_loaded(states[0]), other = ni_loaded(states[1]);
    for (; blocks; blocks--, first += 64, second += 64) {
        const NiState before_one = one, before_other = other;
        __m128i v[4], w[4];
        UNROLLED(16)
        for (int i = 0; i < 16; i++) {
            ni_rounds(&one, ni_words(v, i, first));
            ni_rounds(&other, ni_words(w, i, second));
        }
        ni_add(&one, before_one);
        ni_add(&other, before_other);
    }
    ni_store(states[0], one);
    ni_store(states[1], other);
}

static int has_sha_instructions(void)
{
    unsigned a, b, c, d, seven_b;
    if (!__get_cpuid_count(7, 0, &a, &seven_b, &c, &d) || !__get_cpuid(1, &a, &b, &c, &d))
        return 0;
    return (seven_b >> 29 & 1) && (c >> 9 & 1) && (c >> 19 & 1); /* SHA, SSSE3, SSE4.1 */
}
#elif defined(__aarch64__) && defined(__GNUC__) && (defined(__APPLE__) || (defined(__linux__) && !defined(__clang__)))
#include <arm_neon.h>
#define TEAPOT_SHA_ARM 1
#ifndef __APPLE__
#include <sys/auxv.h>
__attribute__((target("+crypto")))
#endif
static void sha256_blocks_arm(uint32_t state[8], const uint8_t *data, size_t blocks)
{
    uint32x4_t abcd = vld1q_u32(state), efgh = vld1q_u32(state + 4);
    for (; blocks; blocks--, data += 64) {
        const uint32x4_t abcd_before = abcd, efgh_before = efgh;
        uint32x4_t w[4];
        UNROLLED(16)
        for (int i = 0; i < 16; i++) {
            const int own = i & 3, next = (i + 1) & 3, after = (i + 2) & 3, last = (i + 3) & 3;
            if (i < 4)
                w[own] = vreinterpretq_u32_u8(vrev32q_u8(vld1q_u8(data + 16 * i)));
            else
                w[own] = vsha256su1q_u32(vsha256su0q_u32(w[own], w[next]), w[after], w[last]);
            uint32x4_t words = vaddq_u32(w[own], vld1q_u32(SHA256_K + 4 * i)), abcd_old = abcd;
            abcd = vsha256hq_u32(abcd, efgh, words);
            efgh = vsha256h2q_u32(efgh, abcd_old, words);
        }
        abcd = vaddq_u32(abcd, abcd_before);
        efgh = vaddq_u32(efgh, efgh_before);
    }
    vst1q_u32(state, abcd);
    vst1q_u32(state + 4, efgh);
}

static void sha256_pair_arm(uint32_t one[8], uint32_t other[8], const uint8_t *data, size_t blocks)
{
    sha256_blocks_arm(one, data, blocks);
    sha256_blocks_arm(other, data, blocks);
}

static void sha256_twins_arm(uint32_t states[2][8], const uint8_t *one, const uint8_t *other, size_t blocks)
{
    sha256_blocks_arm(states[0], one, blocks);
    sha256_blocks_arm(states[1], other, blocks);
}

static int has_sha_instructions(void)
{
#ifdef __APPLE__
    return 1; /* every 64-bit Apple processor since 2013 */
#else
    return (getauxval(AT_HWCAP) >> 6 & 1) != 0; /* HWCAP_SHA2 */
#endif
}
#endif

static Sha256Blocks sha256_blocks = sha256_blocks_plain;
static Sha256Pair sha256_pair = sha256_pair_plain;
static Sha256Twins sha256_twins = sha256_twins_plain;

/* Call it once, before the others; with plain the processor's instructions are not used. */
static void choose_sha256(int plain)
{
    sha256_blocks = sha256_blocks_plain;
    sha256_pair = sha256_pair_plain;
    sha256_twins = sha256_twins_plain;
#if defined(TEAPOT_SHA_NI)
    if (!plain && has_sha_instructions()) {
        sha256_blocks = sha256_blocks_ni;
        sha256_pair = sha256_pair_ni;
        sha256_twins = sha256_twins_ni;
    }
#elif defined(TEAPOT_SHA_ARM)
    if (!plain && has_sha_instructions()) {
        sha256_blocks = sha256_blocks_arm;
        sha256_pair = sha256_pair_arm;
        sha256_twins = sha256_twins_arm;
    }
#else
    (void)plain;
#endif
}

/* What closes a state that has taken all whole blocks of so many bytes, one block or two; the rest of the bytes are the last size % 64. */
static size_t sha256_tail(const uint8_t *rest, uint64_t size, uint8_t tail[128])
{
    const size_t rest_size = size % 64, tail_size = rest_size < 56 ? 64 : 128;
    memset(tail, 0, 128);
    if (rest_size)
        memcpy(tail, rest, rest_size);
    tail[rest_size] = 0x80;
    for (int i = 0; i < 8; i++)
        tail[tail_size - 1 - i] = (uint8_t)(size * 8 >> 8 * i);
    return tail_size / 64;
}

static void sha256_put(const uint32_t state[8], uint8_t digest[32])
{
    for (int i = 0; i < 32; i++)
        digest[i] = (uint8_t)(state[i / 4] >> (24 - 8 * (i % 4)));
}

static void sha256_end(uint32_t state[8], const uint8_t *rest, uint64_t size, uint8_t digest[32])
{
    uint8_t tail[128];
    sha256_blocks(state, tail, sha256_tail(rest, size, tail));
    sha256_put(state, digest);
}

static void sha256(const uint8_t *data, size_t size, uint8_t digest[32])
{
    uint32_t state[8];
    memcpy(state, SHA256_START, sizeof state);
    sha256_blocks(state, data, size / 64);
    sha256_end(state, data + (size - size % 64), size, digest);
}

/* As much of the two as both have at once, then what one of them has more. */
static void sha256_both(uint32_t states[2][8], const uint8_t *const data[2], const size_t blocks[2])
{
    const size_t both = blocks[0] < blocks[1] ? blocks[0] : blocks[1];
    sha256_twins(states, data[0], data[1], both);
    for (int i = 0; i < 2; i++)
        sha256_blocks(states[i], data[i] + 64 * both, blocks[i] - both);
}

/* A digest on its way: what is left of its whole blocks, and then what closes it. */
typedef struct {
    const uint8_t *at;
    size_t blocks, closing;
    uint8_t tail[128], *digest; /* no digest: there is none on its way */
} Sha256Lane;

/* Pieces of data that follow each other, each of which ends at a place; so many of them are begun. */
typedef struct {
    const uint8_t *data;
    const size_t *ends;
    size_t count, begun;
    uint8_t *digests;
} Sha256Pieces;

static void sha256_begin(Sha256Pieces *pieces, Sha256Lane *lane, uint32_t state[8])
{
    lane->digest = NULL;
    if (pieces->begun == pieces->count)
        return;
    const size_t from = pieces->begun ? pieces->ends[pieces->begun - 1] : 0, size = pieces->ends[pieces->begun] - from;
    memcpy(state, SHA256_START, 8 * sizeof *state);
    lane->at = pieces->data + from;
    lane->blocks = size / 64;
    lane->closing = sha256_tail(lane->at + size / 64 * 64, size, lane->tail);
    lane->digest = pieces->digests + 32 * pieces->begun++;
}

/* The lane's next blocks were taken: on to what closes it, or to the next piece. */
static void sha256_advance(Sha256Pieces *pieces, Sha256Lane *lane, uint32_t state[8], size_t blocks)
{
    lane->at += 64 * blocks;
    lane->blocks -= blocks;
    if (lane->blocks)
        return;
    if (lane->closing) {
        lane->at = lane->tail;
        lane->blocks = lane->closing;
        lane->closing = 0;
    } else {
        sha256_put(state, lane->digest);
        sha256_begin(pieces, lane, state);
    }
}

/* The digests of all pieces: two on their way at once, as long as there are two. */
static void sha256_pieces(Sha256Pieces pieces)
{
    Sha256Lane lanes[2];
    uint32_t states[2][8];
    for (int i = 0; i < 2; i++)
        sha256_begin(&pieces, &lanes[i], states[i]);
    while (lanes[0].digest != NULL && lanes[1].digest != NULL) {
        const size_t both = lanes[0].blocks < lanes[1].blocks ? lanes[0].blocks : lanes[1].blocks;
        sha256_twins(states, lanes[0].at, lanes[1].at, both);
        for (int i = 0; i < 2; i++)
            sha256_advance(&pieces, &lanes[i], states[i], both);
    }
    for (int i = 0; i < 2; i++)
        while (lanes[i].digest != NULL) {
            const size_t blocks = lanes[i].blocks;
            sha256_blocks(states[i], lanes[i].at, blocks);
            sha256_advance(&pieces, &lanes[i], states[i], blocks);
        }
}

static const uint64_t BLAKE2B_START[8] = {
    0x6a09e667f3bcc908, 0xbb67ae8584caa73b, 0x3c6ef372fe94f82b, 0xa54ff53a5f1d36f1,
    0x510e527fade682d1, 0x9b05688c2b3e6c1f, 0x1f83d9abfb41bd6b, 0x5be0cd19137e2179,
};

static const uint8_t BLAKE2B_ORDER[10][16] = {
    {0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15}, {14, 10, 4, 8, 9, 15, 13, 6, 1, 12, 0, 2, 11, 7, 5, 3},
    {11, 8, 12, 0, 5, 2, 15, 13, 10, 14, 3, 6, 7, 1, 9, 4}, {7, 9, 3, 1, 13, 12, 11, 14, 2, 6, 5, 10, 4, 0, 15, 8},
    {9, 0, 5, 7, 2, 4, 10, 15, 14, 1, 11, 12, 6, 8, 3, 13}, {2, 12, 6, 10, 0, 11, 8, 3, 4, 13, 7, 5, 15, 14, 1, 9},
    {12, 5, 1, 15, 14, 13, 4, 10, 0, 7, 6, 3, 9, 2, 8, 11}, {13, 11, 7, 14, 12, 1, 3, 9, 5, 0, 15, 4, 8, 6, 2, 10},
    {6, 15, 14, 9, 11, 3, 0, 8, 12, 2, 13, 7, 1, 4, 10, 5}, {10, 2, 8, 4, 7, 6, 1, 5, 15, 11, 9, 14, 3, 12, 13, 0},
};

static uint64_t little_endian_64(const uint8_t *from)
{
    return (uint64_t)from[0] | (uint64_t)from[1] << 8 | (uint64_t)from[2] << 16 | (uint64_t)from[3] << 24 | (uint64_t)from[4] << 32
           | (uint64_t)from[5] << 40 | (uint64_t)from[6] << 48 | (uint64_t)from[7] << 56;
}

static uint64_t rotated_right_64(uint64_t value, int by) { return value >> by | value << (64 - by); }

static void blake2b_mix(uint64_t v[16], int a, int b, int c, int d, uint64_t x, uint64_t y)
{
    v[a] += v[b] + x;
    v[d] = rotated_right_64(v[d] ^ v[a], 32);
    v[c] += v[d];
    v[b] = rotated_right_64(v[b] ^ v[c], 24);
    v[a] += v[b] + y;
    v[d] = rotated_right_64(v[d] ^ v[a], 16);
    v[c] += v[d];
    v[b] = rotated_right_64(v[b] ^ v[c], 63);
}

static void blake2b_block(uint64_t h[8], const uint8_t block[128], uint64_t counted, int is_last)
{
    uint64_t m[16], v[16];
    for (int i = 0; i < 16; i++)
        m[i] = little_endian_64(block + 8 * i);
    memcpy(v, h, 8 * sizeof *v);
    memcpy(v + 8, BLAKE2B_START, 8 * sizeof *v);
    v[12] ^= counted;
    if (is_last)
        v[14] = ~v[14];
    UNROLLED(12)
    for (int round = 0; round < 12; round++) {
        const uint8_t *s = BLAKE2B_ORDER[round % 10];
        UNROLLED(4)
        for (int i = 0; i < 4; i++)
            blake2b_mix(v, i, 4 + i, 8 + i, 12 + i, m[s[2 * i]], m[s[2 * i + 1]]);
        UNROLLED(4)
        for (int i = 0; i < 4; i++)
            blake2b_mix(v, i, 4 + (i + 1) % 4, 8 + (i + 2) % 4, 12 + (i + 3) % 4, m[s[8 + 2 * i]], m[s[9 + 2 * i]]);
    }
    for (int i = 0; i < 8; i++)
        h[i] ^= v[i] ^ v[8 + i];
}

/* A digest of 16 bytes, without key and salt. */
static void blake2b_16(const uint8_t *data, size_t size, const uint8_t person[16], uint8_t digest[16])
{
    uint64_t h[8], counted = 0;
    uint8_t last[128] = {0};
    memcpy(h, BLAKE2B_START, sizeof h);
    h[0] ^= 0x01010010;
    h[6] ^= little_endian_64(person);
    h[7] ^= little_endian_64(person + 8);
    for (; size > 128; data += 128, size -= 128)
        blake2b_block(h, data, counted += 128, 0);
    if (size)
        memcpy(last, data, size);
    blake2b_block(h, last, counted + size, 1);
    for (int i = 0; i < 16; i++)
        digest[i] = (uint8_t)(h[i / 8] >> 8 * (i % 8));
}

#endif
