/* The text in JSON strings: what stands for itself, up to the first byte that does not, in UTF-8 (RFC 3629). */

#ifndef TEAPOT_UTF8_H
#define TEAPOT_UTF8_H

#include <stddef.h>
#include <stdint.h>
#include <string.h>

#define BAD_TEXT SIZE_MAX /* it is not UTF-8 */

/* How many bytes come before the first quotation mark, backslash or control character, or before the end; or BAD_TEXT. */
typedef size_t (*SkipText)(const uint8_t *from, size_t size);
/* The same, and they are copied. There must be room for 16 bytes more. */
typedef size_t (*CopyText)(const uint8_t *from, size_t size, uint8_t *to);

static int continues(uint8_t byte) { return (byte & 0xc0) == 0x80; }

/* How long the sequence is that begins here, 0 if it is not valid. */
static size_t sequence_length(const uint8_t *at, size_t left)
{
    if (at[0] < 0xc2 || left < 2 || !continues(at[1]))
        return 0;
    if (at[0] < 0xe0)
        return 2;
    if (left < 3 || !continues(at[2]))
        return 0;
    if (at[0] < 0xf0)
        return (at[0] == 0xe0 && at[1] < 0xa0) || (at[0] == 0xed && at[1] > 0x9f) ? 0 : 3;
    if (left < 4 || !continues(at[3]) || at[0] > 0xf4)
        return 0;
    return (at[0] == 0xf0 && at[1] < 0x90) || (at[0] == 0xf4 && at[1] > 0x8f) ? 0 : 4;
}

static size_t skip_text_plain(const uint8_t *from, size_t size)
{
    size_t done = 0;
    while (done < size && from[done] >= 0x20 && from[done] != '"' && from[done] != '\\') {
        const size_t length = from[done] < 0x80 ? 1 : sequence_length(from + done, size - done);
        if (length == 0)
            return BAD_TEXT;
        done += length;
    }
    return done;
}

static size_t copy_text_plain(const uint8_t *from, size_t size, uint8_t *to)
{
    const size_t done = skip_text_plain(from, size);
    if (done != BAD_TEXT && done)
        memcpy(to, from, done);
    return done;
}

#if defined(__x86_64__) && defined(__GNUC__)
#include <cpuid.h>
#include <immintrin.h>
#define TEAPOT_SSSE3 1

#define SSSE3 __attribute__((target("ssse3")))

/* What may be wrong about a byte and the one before it, a bit each: J. Keiser and D. Lemire, Validating UTF-8 in less than one instruction per byte, 2020
   (arXiv:2010.03090), section 6. A pair is wrong if a bit is set in all three of: what the high and the low half of the first byte allow, and the high
   half of the second. */
enum {
    TOO_SHORT = 1,   /* a lead is followed by no continuation */
    TOO_LONG = 2,    /* ASCII is followed by one */
    OVERLONG_3 = 4,  /* e0 80 to e0 9f */
    TOO_LARGE = 8,   /* f4 90 and more; f5 and more */
    SURROGATE = 16,  /* ed a0 to ed bf */
    OVERLONG_2 = 32, /* c0 and c1 */
    OVERLONG_4 = 64, /* f0 80 to f0 8f; f5 80 and more */
    IN_A_ROW = 128,  /* two continuations, which is right in longer sequences only */
    ANY_LEAD = TOO_SHORT | TOO_LONG | IN_A_ROW,
    ANY_TAIL = TOO_LONG | OVERLONG_2 | IN_A_ROW,
};

static const uint8_t FIRST_HIGH[16] = {
    TOO_LONG, TOO_LONG, TOO_LONG, TOO_LONG, TOO_LONG, TOO_LONG, TOO_LONG, TOO_LONG, IN_A_ROW, IN_A_ROW, IN_A_ROW, IN_A_ROW,
    TOO_SHORT | OVERLONG_2, TOO_SHORT, TOO_SHORT | OVERLONG_3 | SURROGATE, TOO_SHORT | TOO_LARGE | OVERLONG_4,
};

static const uint8_t FIRST_LOW[16] = {
    ANY_LEAD | OVERLONG_3 | OVERLONG_2 | OVERLONG_4, ANY_LEAD | OVERLONG_2, ANY_LEAD, ANY_LEAD, ANY_LEAD | TOO_LARGE,
    ANY_LEAD | TOO_LARGE | OVERLONG_4, ANY_LEAD | TOO_LARGE | OVERLONG_4, ANY_LEAD | TOO_LARGE | OVERLONG_4, ANY_LEAD | TOO_LARGE | OVERLONG_4,
    ANY_LEAD | TOO_LARGE | OVERLONG_4, ANY_LEAD | TOO_LARGE | OVERLONG_4, ANY_LEAD | TOO_LARGE | OVERLONG_4, ANY_LEAD | TOO_LARGE | OVERLONG_4,
    ANY_LEAD | TOO_LARGE | OVERLONG_4 | SURROGATE, ANY_LEAD | TOO_LARGE | OVERLONG_4, ANY_LEAD | TOO_LARGE | OVERLONG_4,
};

static const uint8_t SECOND_HIGH[16] = {
    TOO_SHORT, TOO_SHORT, TOO_SHORT, TOO_SHORT, TOO_SHORT, TOO_SHORT, TOO_SHORT, TOO_SHORT, ANY_TAIL | OVERLONG_3 | OVERLONG_4,
    ANY_TAIL | OVERLONG_3 | TOO_LARGE, ANY_TAIL | SURROGATE | TOO_LARGE, ANY_TAIL | SURROGATE | TOO_LARGE, TOO_SHORT, TOO_SHORT, TOO_SHORT, TOO_SHORT,
};

SSSE3 static inline __m128i looked_up(const uint8_t table[16], __m128i halves)
{
    return _mm_shuffle_epi8(_mm_loadu_si128((const __m128i *)table), halves);
}

SSSE3 static inline __m128i high_halves(__m128i bytes) { return _mm_and_si128(_mm_srli_epi16(bytes, 4), _mm_set1_epi8(0x0f)); }

/* What is wrong with 16 bytes and those before them: nothing where all bits are 0. */
SSSE3 static inline __m128i mistakes(__m128i bytes, __m128i before)
{
    const __m128i first = _mm_alignr_epi8(bytes, before, 15), second = _mm_alignr_epi8(bytes, before, 14), third = _mm_alignr_epi8(bytes, before, 13);
    const __m128i pairs = _mm_and_si128(_mm_and_si128(looked_up(FIRST_HIGH, high_halves(first)), looked_up(SECOND_HIGH, high_halves(bytes))),
                                        looked_up(FIRST_LOW, _mm_and_si128(first, _mm_set1_epi8(0x0f))));
    /* the bit of IN_A_ROW, where the third byte of a sequence must be, or the fourth */
    const __m128i longer = _mm_or_si128(_mm_subs_epu8(second, _mm_set1_epi8(0xe0 - 0x80)), _mm_subs_epu8(third, _mm_set1_epi8(0xf0 - 0x80)));
    return _mm_xor_si128(_mm_and_si128(longer, _mm_set1_epi8((char)IN_A_ROW)), pairs);
}

SSSE3 static inline size_t text_ssse3(const uint8_t *from, size_t size, uint8_t *to)
{
    static const uint8_t first_ones[32] = {
        0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff,
    };
    const __m128i quote = _mm_set1_epi8('"'), backslash = _mm_set1_epi8('\\'), control = _mm_set1_epi8(0x1f);
    __m128i before = _mm_setzero_si128(), wrong = before;
    int was_ascii = 1;
    for (size_t done = 0;; done += 16) {
        uint8_t last[16] = {0}; /* 0 is a control character: it ends here at the latest */
        const uint8_t *at = from + done;
        if (size - done < 16) {
            if (size - done)
                memcpy(last, at, size - done);
            at = last;
        }
        __m128i bytes = _mm_loadu_si128((const __m128i *)at);
        const __m128i odd = _mm_or_si128(_mm_cmpeq_epi8(_mm_min_epu8(bytes, control), bytes),
                                         _mm_or_si128(_mm_cmpeq_epi8(bytes, quote), _mm_cmpeq_epi8(bytes, backslash)));
        const unsigned found = (unsigned)_mm_movemask_epi8(odd);
        if (to != NULL)
            _mm_storeu_si128((__m128i *)(to + done), bytes);
        if (found) {
            const unsigned plain = (unsigned)__builtin_ctz(found);
            bytes = _mm_and_si128(bytes, _mm_loadu_si128((const __m128i *)(first_ones + 16 - plain))); /* no more of it counts */
            wrong = _mm_or_si128(wrong, mistakes(bytes, before));
            return _mm_movemask_epi8(_mm_cmpeq_epi8(wrong, _mm_setzero_si128())) == 0xffff ? done + plain : BAD_TEXT;
        }
        const int is_ascii = _mm_movemask_epi8(bytes) == 0;
        if (!is_ascii || !was_ascii)
            wrong = _mm_or_si128(wrong, mistakes(bytes, before));
        was_ascii = is_ascii;
        before = bytes;
    }
}

SSSE3 static size_t skip_text_ssse3(const uint8_t *from, size_t size) { return text_ssse3(from, size, NULL); }

SSSE3 static size_t copy_text_ssse3(const uint8_t *from, size_t size, uint8_t *to) { return text_ssse3(from, size, to); }

static int has_ssse3(void)
{
    unsigned a, b, c, d;
    return __get_cpuid(1, &a, &b, &c, &d) && (c >> 9 & 1);
}
#endif

static SkipText skip_text = skip_text_plain;
static CopyText copy_text = copy_text_plain;

/* Call it once, before the others; with plain the processor's vectors are not used. */
static void choose_text(int plain)
{
    skip_text = skip_text_plain;
    copy_text = copy_text_plain;
#if defined(TEAPOT_SSSE3)
    if (!plain && has_ssse3()) {
        skip_text = skip_text_ssse3;
        copy_text = copy_text_ssse3;
    }
#else
    (void)plain;
#endif
}

#endif
