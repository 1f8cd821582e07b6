#include "tensor/kernels/tile_kernels.h"
#include "tensor/scratch.h"

#include <algorithm>
#include <array>
#include <immintrin.h>
#include <vector>

namespace fettle::tensor::kernels_amx {

namespace {

using I = std::int64_t;

constexpr I kTile = kTileLines * kTileDepth; ///< values of a tile of operands
constexpr I kMostDepth = 768; ///< of k at once: what a block of rows takes stays in the second-level cache
constexpr I kLeftRows = 160;  ///< of a left side at once
constexpr I kThin = 32;       ///< a part of no more k is added to its neighbour's sums,
constexpr I kMostThin = 256;  ///< up to so much k

/// 16 lines of 16 words of 32 bits, turned.
void transpose(Bfloat16* tile)
{
    __m512i a[16], b[16];
    for (int i = 0; i < 16; ++i)
        a[i] = _mm512_load_si512(tile + i * kTileDepth);
    for (int i = 0; i < 16; i += 2) {
        b[i] = _mm512_unpacklo_epi32(a[i], a[i + 1]);
        b[i + 1] = _mm512_unpackhi_epi32(a[i], a[i + 1]);
    }
    for (int i = 0; i < 16; i += 4) {
        for (int j = 0; j < 2; ++j) {
            a[i + 2 * j] = _mm512_unpacklo_epi64(b[i + j], b[i + j + 2]);
            a[i + 2 * j + 1] = _mm512_unpackhi_epi64(b[i + j], b[i + j + 2]);
        }
    }
    for (int i = 0; i < 4; ++i) { // lanes of 128 bits: 4 by 4
        const auto low = _mm512_shuffle_i32x4(a[i], a[i + 4], 0x88), high = _mm512_shuffle_i32x4(a[i], a[i + 4], 0xdd);
        const auto low2 = _mm512_shuffle_i32x4(a[i + 8], a[i + 12], 0x88),
                   high2 = _mm512_shuffle_i32x4(a[i + 8], a[i + 12], 0xdd);
        b[i] = _mm512_shuffle_i32x4(low, low2, 0x88);
        b[i + 8] = _mm512_shuffle_i32x4(low, low2, 0xdd);
        b[i + 4] = _mm512_shuffle_i32x4(high, high2, 0x88);
        b[i + 12] = _mm512_shuffle_i32x4(high, high2, 0xdd);
    }
    for (int i = 0; i < 16; ++i)
        _mm512_store_si512(tile + i * kTileDepth, b[i]);
}

inline __m512 lowerHalf(__m512i pair)
{
    return _mm512_castsi512_ps(_mm512_slli_epi32(_mm512_cvtepu16_epi32(_mm512_castsi512_si256(pair)), 16));
}
inline __m512 upperHalf(__m512i pair) { return lowerHalf(_mm512_castsi256_si512(_mm512_extracti64x4_epi64(pair, 1))); }

/// The next piece of 32 values, the nearest bfloat16 ones; what they leave stays in a and b.
inline __m512i takePiece(__m512& a, __m512& b)
{
    const auto piece = reinterpret_cast<__m512i>(_mm512_cvtne2ps_pbh(b, a));
    a = _mm512_sub_ps(a, lowerHalf(piece));
    b = _mm512_sub_ps(b, upperHalf(piece));
    return piece;
}

/// From [first 16 | second 16] to pairs of one of either.
inline __m512i paired(__m512i halves)
{
    alignas(64) static constexpr std::array<std::uint16_t, 32> kOrder = {0, 16, 1, 17, 2,  18, 3,  19, 4,  20, 5,
                                                                         21, 6, 22, 7, 23, 8,  24, 9,  25, 10, 26,
                                                                         11, 27, 12, 28, 13, 29, 14, 30, 15, 31};
    return _mm512_permutexvar_epi16(_mm512_load_si512(kOrder.data()), halves);
}

/// Whole tiles of lines that run along k: [16 lines][32].
void takeLines(const float* x, I lineStride, float scale, Bfloat16* out)
{
    const auto factor = _mm512_set1_ps(scale);
    for (I line = 0; line < kTileLines; ++line) {
        auto a = _mm512_mul_ps(_mm512_loadu_ps(x + line * lineStride), factor);
        auto b = _mm512_mul_ps(_mm512_loadu_ps(x + line * lineStride + 16), factor);
        for (I piece = 0; piece < kFloatPieces; ++piece)
            _mm512_store_si512(out + piece * kTile + line * kTileDepth, takePiece(a, b));
    }
}
void takeLines(const Bfloat16* x, I lineStride, float, Bfloat16* out)
{
    for (I line = 0; line < kTileLines; ++line)
        _mm512_store_si512(out + line * kTileDepth, _mm512_loadu_si512(x + line * lineStride));
}

/// Whole tiles of lines that lie beside each other: [16 pairs][16 lines][2].
void takeAcross(const float* x, I depthStride, float scale, Bfloat16* out)
{
    const auto factor = _mm512_set1_ps(scale);
    for (I pair = 0; pair < kTileDepth / 2; ++pair) {
        auto a = _mm512_mul_ps(_mm512_loadu_ps(x + 2 * pair * depthStride), factor);
        auto b = _mm512_mul_ps(_mm512_loadu_ps(x + (2 * pair + 1) * depthStride), factor);
        for (I piece = 0; piece < kFloatPieces; ++piece)
            _mm512_store_si512(out + piece * kTile + pair * kTileDepth, paired(takePiece(a, b)));
    }
}
void takeAcross(const Bfloat16* x, I depthStride, float, Bfloat16* out)
{
    const auto half = [&](I p) {
        return _mm256_loadu_si256(reinterpret_cast<const __m256i*>(x + p * depthStride));
    };
    for (I pair = 0; pair < kTileDepth / 2; ++pair)
        _mm512_store_si512(out + pair * kTileDepth,
                           paired(_mm512_inserti64x4(_mm512_castsi256_si512(half(2 * pair)), half(2 * pair + 1), 1)));
}

template <class T> constexpr I kPieces = std::is_same_v<T, float> ? kFloatPieces : 1;

enum class Side { Left, Right };

template <class T> void packTile(TileSource<T> from, Side side, Bfloat16* out)
{
    alignas(64) T whole[kTile];
    if (from.lines < kTileLines || from.k < kTileDepth || (from.lineStride != 1 && from.depthStride != 1)) {
        std::fill_n(whole, kTile, T{});
        for (I line = 0; line < std::min(kTileLines, from.lines); ++line) {
            for (I p = 0; p < std::min(kTileDepth, from.k); ++p)
                whole[line * kTileDepth + p] = from.values[line * from.lineStride + p * from.depthStride];
        }
        from.values = whole, from.lineStride = kTileDepth, from.depthStride = 1;
    }
    const bool along = from.depthStride == 1;
    if (along)
        takeLines(from.values, from.lineStride, from.scale, out);
    else
        takeAcross(from.values, from.depthStride, from.scale, out);
    for (I piece = 0; along != (side == Side::Left) && piece < kPieces<T>; ++piece)
        transpose(out + piece * kTile);
}

template <class T> void pack(const TileSource<T>& from, Side side, Bfloat16* out, I panelStride)
{
    for (I line = 0; line < from.lines; line += kTileLines, out += panelStride) {
        for (I p = 0; p < from.k; p += kTileDepth) {
            auto part = from;
            part.values += line * from.lineStride + p * from.depthStride;
            part.lines -= line, part.k -= p;
            packTile(part, side, out + p * kTileLines * kPieces<T>);
        }
    }
}

void packLeft(const TileSource<float>& from, Bfloat16* out)
{
    pack(from, Side::Left, out, panelValues(from.k, kFloatPieces));
}
void packFloats(const TileSource<float>& from, Bfloat16* out, I panelStride)
{
    pack(from, Side::Right, out, panelStride);
}
void packBfloats(const TileSource<Bfloat16>& from, Bfloat16* out, I panelStride)
{
    pack(from, Side::Right, out, panelStride);
}

/// A stretch of k of one part, both sides packed.
struct Run
{
    const Bfloat16 *left, *right; ///< of the first row tile and panel
    I leftStride, rightStride;    ///< values from one row tile, and one panel, to the next
    I pieces, blocks;             ///< of the right side; tiles along k
};

// Sums lie in tile registers 0 to 3, [row tile][panel]; 4 and 5 hold left tiles, 6 and 7 right ones.

template <int Rows, int Panels> inline void multiplyPiece(const Bfloat16* left, I leftStride)
{
    _tile_loadd(4, left, 64);
    _tile_dpbf16ps(0, 4, 6);
    if constexpr (Panels == 2)
        _tile_dpbf16ps(1, 4, 7);
    if constexpr (Rows == 2) {
        _tile_loadd(5, left + leftStride, 64);
        _tile_dpbf16ps(2, 5, 6);
        if constexpr (Panels == 2)
            _tile_dpbf16ps(3, 5, 7);
    }
}

/// What comes next from the third-level cache, a share of it with each tile.
struct Fetch
{
    const char* next;
    I lines, each;

    void some()
    {
        for (I i = 0; i < each && lines > 0; ++i, --lines, next += 64)
            _mm_prefetch(next, _MM_HINT_T1);
    }
};

/// Sums of 16 Rows x 16 Panels -> out [Rows][Panels][16][16].
template <int Rows, int Panels>
void multiply(const std::vector<Run>& runs, I rowTile, I panel, Fetch& fetch, float* out)
{
    _tile_zero(0);
    _tile_zero(1);
    _tile_zero(2);
    _tile_zero(3);
    for (const Run& run : runs) {
        const Bfloat16 *left = run.left + rowTile * run.leftStride, *right = run.right + panel * run.rightStride;
        for (I block = 0; block < run.blocks; ++block, left += kFloatPieces * kTile) {
            fetch.some();
            for (I piece = 0; piece < run.pieces; ++piece, right += kTile) {
                _tile_loadd(6, right, 64);
                if constexpr (Panels == 2)
                    _tile_loadd(7, right + run.rightStride, 64);
                for (I own = 0; own < kFloatPieces - piece; ++own)
                    multiplyPiece<Rows, Panels>(left + own * kTile, run.leftStride);
            }
        }
    }
    _tile_stored(0, out, 64);
    if constexpr (Panels == 2)
        _tile_stored(1, out + 256, 64);
    if constexpr (Rows == 2) {
        _tile_stored(2, out + Panels * 256, 64);
        if constexpr (Panels == 2)
            _tile_stored(3, out + 768, 64);
    }
    asm volatile("" ::: "memory");
}

/// A tile of sums to where it belongs, cut to `rows` and `columns`.
void put(const float* sums, float* c, I cStride, I rows, I columns, bool add)
{
    const auto mask = static_cast<__mmask16>(columns >= 16 ? 0xffff : (1 << columns) - 1);
    for (I r = 0; r < std::min<I>(16, rows); ++r) {
        auto v = _mm512_load_ps(sums + r * 16);
        if (add) // what c holds comes last: short sums round less than one long one
            v = _mm512_add_ps(_mm512_maskz_loadu_ps(mask, c + r * cStride), v);
        _mm512_mask_storeu_ps(c + r * cStride, mask, v);
    }
}

/// All rows and columns for one group of runs.
void multiplyGroup(const std::vector<Run>& runs, I m, I n, float* c, I cStride, bool add)
{
    alignas(64) float sums[4 * 256];
    const I tiles = (m + 15) / 16, panels = (n + 15) / 16;
    const Run& first = runs.front();
    const I lines = first.blocks * first.pieces * (kTile / 32); // of the cache, that a stretch of a panel takes
    for (I panel = 0; panel < panels; panel += 2) {
        const int wide = panel + 1 < panels ? 2 : 1;
        for (I tile = 0; tile < tiles; tile += 2) {
            const int high = tile + 1 < tiles ? 2 : 1;
            Fetch fetch{nullptr, 0, 0};
            if (const I next = panel + 2 + tile / 2; tile < 4 && next < panels)
                fetch = {reinterpret_cast<const char*>(first.right + next * first.rightStride), lines,
                         lines / first.blocks};
            const auto run = high == 2 ? (wide == 2 ? multiply<2, 2> : multiply<2, 1>)
                                       : (wide == 2 ? multiply<1, 2> : multiply<1, 1>);
            run(runs, tile, panel, fetch, sums);
            for (I r = 0; r < high; ++r) {
                for (I p = 0; p < wide; ++p)
                    put(sums + (r * wide + p) * 256, c + (tile + r) * 16 * cStride + (panel + p) * 16, cStride,
                        m - (tile + r) * 16, n - (panel + p) * 16, add);
            }
        }
    }
}

struct alignas(64) TileShapes
{
    std::uint8_t palette = 1, startRow = 0, reserved[14] = {};
    std::uint16_t rowBytes[16] = {64, 64, 64, 64, 64, 64, 64, 64};
    std::uint8_t rows[16] = {16, 16, 16, 16, 16, 16, 16, 16};
};

/// A stretch of k of one part.
struct Stretch
{
    const TilePart* part;
    I from, k;
    bool joins; ///< its sums are made together with those of the one before
};

std::vector<Stretch> stretchesOf(const TilePart* parts, I count)
{
    std::vector<Stretch> all;
    I thin = 0; // that joined the last one
    for (const TilePart* part = parts; part < parts + count; ++part) {
        const I blocks = (part->k + kTileDepth - 1) / kTileDepth;
        const I stretches = (blocks * kTileDepth + kMostDepth - 1) / kMostDepth;
        for (I number = 0; number < stretches; ++number) {
            const I from = blocks * number / stretches * kTileDepth;
            const I end = std::min(part->k, blocks * (number + 1) / stretches * kTileDepth);
            const bool joins = part->k <= kThin && !all.empty() && thin < kMostThin;
            thin = joins ? thin + kTileDepth : 0;
            all.push_back({part, from, end - from, joins});
        }
    }
    return all;
}

/// A stretch of rows [top, top + rows) of a left side; packs it at `room`, and moves this on, unless it is packed.
Run runOf(const Stretch& stretch, I top, I rows, Bfloat16*& room)
{
    const auto& [part, from, k, joins] = stretch;
    Run run{nullptr, part->b + from * kTileLines * part->pieces, 0, part->panelStride, part->pieces,
            (k + kTileDepth - 1) / kTileDepth};
    if (part->packed) {
        run.leftStride = panelValues(part->k, kFloatPieces);
        run.left = part->packed + top / kTileLines * run.leftStride + from * kTileLines * kFloatPieces;
        return run;
    }
    run.leftStride = panelValues(k, kFloatPieces);
    run.left = room;
    pack(TileSource<float>{part->a + top * part->rowStride + from * part->colStride, part->rowStride, part->colStride,
                           rows, k},
         Side::Left, room, run.leftStride);
    room += (rows + kTileLines - 1) / kTileLines * run.leftStride;
    return run;
}

void gemm(const TilePart* parts, I count, I m, I n, float* c, I cStride, bool add)
{
    static const TileShapes shapes;
    const auto stretches = stretchesOf(parts, count);
    Scratch scratch;
    auto* room = reinterpret_cast<Bfloat16*>(scratch.take(kLeftRows * (kMostDepth + kMostThin) * kFloatPieces / 2));
    _tile_loadconfig(&shapes);
    std::vector<Run> runs;
    for (I top = 0; top < m; top += kLeftRows) {
        const I rows = std::min(kLeftRows, m - top);
        bool more = add;
        for (auto stretch = stretches.begin(); stretch != stretches.end();) {
            auto* free = room;
            runs.clear();
            do
                runs.push_back(runOf(*stretch, top, rows, free));
            while (++stretch != stretches.end() && stretch->joins);
            asm volatile("" ::: "memory"); // the tile loads do not say what they read
            multiplyGroup(runs, rows, n, c + top * cStride, cStride, more);
            more = true;
        }
    }
    _tile_release();
}

} // namespace

extern const TileKernels table;
const TileKernels table = {packLeft, packFloats, packBfloats, gemm};

} // namespace fettle::tensor::kernels_amx
