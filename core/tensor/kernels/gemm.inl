// Matrix products in float32 for one instruction set; included by cpu_kernels.inl.
//
// The right side is kept in panels of 16 columns, [columns / 16][k][16], the last one filled up with
// zeros. A tile of kTileRows rows and kTilePanels panels of sums stays in registers over a stretch of k
// that keeps its piece of the panels in the first-level cache. The left side is read where it lies when its rows run along k,
// and is copied into tiles when they do not. Each sum runs over k in one order, whatever the number
// of threads that share the rows or columns between them.

#if defined(__AVX512F__)
constexpr I kLanes = 16, kTileRows = 12, kTilePanels = 2;
#elif defined(__AVX2__)
constexpr I kLanes = 8, kTileRows = 6, kTilePanels = 1;
#else
constexpr I kLanes = 4, kTileRows = 2, kTilePanels = 1;
#endif
constexpr I kVectors = kPanel / kLanes;
constexpr I kStretch = kTilePanels == 1 ? 320 : 192; ///< of k at once: 20 or 24 kB of the panels
constexpr I kCopiedRows = 96; ///< of a left side that is copied; a multiple of kTileRows
constexpr I kColumns = kTilePanels * kPanel;

typedef float Vec __attribute__((vector_size(kLanes * 4)));
typedef float VecAnywhere __attribute__((vector_size(kLanes * 4), aligned(4), may_alias));

inline Vec loadVec(const float* p) { return *reinterpret_cast<const VecAnywhere*>(p); }

/// A bfloat16 value is the upper half of the float32 value that it stands for.
inline float widened(Bfloat16 x) { return std::bit_cast<float>(static_cast<std::uint32_t>(x.bits) << 16); }
inline float widened(Float16 x) { return static_cast<float>(std::bit_cast<_Float16>(x.bits)); }
#if defined(__AVX512F__)
inline __m256i halves(const void* p) { return _mm256_loadu_si256(static_cast<const __m256i*>(p)); }
inline Vec loadVec(const Bfloat16* p)
{
    return reinterpret_cast<Vec>(_mm512_slli_epi32(_mm512_cvtepu16_epi32(halves(p)), 16));
}
inline Vec loadVec(const Float16* p) { return _mm512_cvtph_ps(halves(p)); }
#elif defined(__AVX2__)
inline __m128i halves(const void* p) { return _mm_loadu_si128(static_cast<const __m128i*>(p)); }
inline Vec loadVec(const Bfloat16* p)
{
    return reinterpret_cast<Vec>(_mm256_slli_epi32(_mm256_cvtepu16_epi32(halves(p)), 16));
}
inline Vec loadVec(const Float16* p) { return _mm256_cvtph_ps(halves(p)); }
#else
template<class Half> Vec loadVec(const Half* p)
{
    return Vec{widened(p[0]), widened(p[1]), widened(p[2]), widened(p[3])};
}
#endif
inline void storeVec(float* p, Vec v) { *reinterpret_cast<VecAnywhere*>(p) = v; }

/// c [Rows, 16 Panels] (+)= a [Rows, k] b [k, 16 Panels].
template <int Rows, int Panels>
__attribute__((always_inline)) inline void tile(const float* a, I rowStride, I colStride, const float* b,
                                                I panelStride, I k, float* c, I cStride, bool add)
{
    constexpr int kWide = Panels * static_cast<int>(kVectors);
    Vec sums[Rows][kWide];
    for (int r = 0; r < Rows; ++r) {
        for (int j = 0; j < kWide; ++j)
            sums[r][j] = Vec{}; // what c holds comes last: short sums round less than one long one
    }
#pragma GCC unroll 4
    for (I p = 0; p < k; ++p) {
        Vec right[kWide];
        for (int j = 0; j < kWide; ++j)
            right[j] = loadVec(b + j / kVectors * panelStride + p * kPanel + j % kVectors * kLanes);
        for (int r = 0; r < Rows; ++r) {
            const float left = a[r * rowStride + p * colStride];
            for (int j = 0; j < kWide; ++j)
                sums[r][j] += right[j] * left;
        }
    }
    for (int r = 0; r < Rows; ++r) {
        for (int j = 0; j < kWide; ++j)
            storeVec(c + r * cStride + j * kLanes,
                     add ? loadVec(c + r * cStride + j * kLanes) + sums[r][j] : sums[r][j]);
    }
}

/// The same for `columns` <= 16 columns of c.
template <int Rows>
void tileOf(const float* a, I rowStride, I colStride, const float* b, I k, float* c, I cStride, I columns, bool add)
{
    if (columns == kPanel) {
        if (colStride == 1)
            return tile<Rows, 1>(a, rowStride, 1, b, 0, k, c, cStride, add);
        return tile<Rows, 1>(a, rowStride, colStride, b, 0, k, c, cStride, add);
    }
    float whole[Rows * kPanel];
    for (int r = 0; add && r < Rows; ++r) {
        for (I j = 0; j < kPanel; ++j)
            whole[r * kPanel + j] = j < columns ? c[r * cStride + j] : 0.0f;
    }
    tile<Rows, 1>(a, rowStride, colStride, b, 0, k, whole, kPanel, add);
    for (int r = 0; r < Rows; ++r) {
        for (I j = 0; j < columns; ++j)
            c[r * cStride + j] = whole[r * kPanel + j];
    }
}

/// The same for all columns of kTilePanels panels.
template <int Rows>
void wideTile(const float* a, I rowStride, I colStride, const float* b, I panelStride, I k, float* c, I cStride,
              bool add)
{
    if (colStride == 1)
        return tile<Rows, kTilePanels>(a, rowStride, 1, b, panelStride, k, c, cStride, add);
    return tile<Rows, kTilePanels>(a, rowStride, colStride, b, panelStride, k, c, cStride, add);
}

using TileFunction = void (*)(const float*, I, I, const float*, I, float*, I, I, bool);
using WideTileFunction = void (*)(const float*, I, I, const float*, I, I, float*, I, bool);
template <int... Rows>
constexpr std::array<TileFunction, sizeof...(Rows)> tilesOf(std::integer_sequence<int, Rows...>)
{
    return {tileOf<Rows + 1>...};
}
template <int... Rows>
constexpr std::array<WideTileFunction, sizeof...(Rows)> wideTilesOf(std::integer_sequence<int, Rows...>)
{
    return {wideTile<Rows + 1>...};
}
using TileSizes = std::make_integer_sequence<int, static_cast<int>(kTileRows)>;
constexpr auto kTiles = tilesOf(TileSizes());
constexpr auto kWideTiles = wideTilesOf(TileSizes());

/// A tile row of `columns` columns from b on: as wide as they go.
void tileRow(const float* a, I rowStride, I colStride, const float* b, I panelStride, I k, I rows, I columns,
             float* c, I cStride, bool add)
{
    const auto size = static_cast<std::size_t>(rows - 1);
    if (columns == kTilePanels * kPanel)
        return kWideTiles[size](a, rowStride, colStride, b, panelStride, k, c, cStride, add);
    for (I j = 0; j < columns; j += kPanel)
        kTiles[size](a, rowStride, colStride, b + j / kPanel * panelStride, k, c + j, cStride,
                     std::min(kPanel, columns - j), add);
}

/// Share `number` of `count` of a stretch of panels, on its way to the second-level cache before it is needed: where
/// the third is slow, the start of each panel would be waited for.
inline void fetchShare(const float* b, I panelStride, I k, I number, I count)
{
    for (I p = k * number / count; p < k * (number + 1) / count; ++p) {
        for (I j = 0; j < kTilePanels; ++j)
            __builtin_prefetch(b + j * panelStride + p * kPanel, 0, 2);
    }
}

/// A stretch of k for m rows and n columns.
void stretch(const float* a, I rowStride, I colStride, const float* b, I panelStride, I k, I m, I n, float* c,
             I cStride, bool add)
{
    for (I j = 0; j < n; j += kColumns) {
        const float* panel = b + j / kPanel * panelStride;
        const float* next = j + kColumns < n ? panel + kTilePanels * panelStride : b + k * kPanel;
        const I tiles = (m + kTileRows - 1) / kTileRows;
        for (I i = 0; i < m; i += kTileRows) {
            fetchShare(next, panelStride, k, i / kTileRows, tiles);
            tileRow(a + i * rowStride, rowStride, colStride, panel, panelStride, k, std::min(kTileRows, m - i),
                    std::min(kColumns, n - j), c + i * cStride + j, cStride, add);
        }
    }
}

/// The stretch for a left side whose rows do not run along k: tiles of it are copied first.
void copiedStretch(const float* a, I rowStride, I colStride, const float* b, I panelStride, I k, I m, I n, float* c,
                   I cStride, bool add)
{
    alignas(64) static thread_local float copy[kCopiedRows * kStretch];
    for (I first = 0; first < m; first += kCopiedRows) {
        const I some = std::min(kCopiedRows, m - first);
        for (I i = 0; i < some; i += kTileRows) {
            const I rows = std::min(kTileRows, some - i);
            const float* from = a + (first + i) * rowStride;
            float* to = copy + i * k;
            for (I p = 0; p < k; ++p) {
                for (I r = 0; r < rows; ++r)
                    to[p * kTileRows + r] = from[r * rowStride + p * colStride];
            }
        }
        for (I j = 0; j < n; j += kColumns) {
            const float* panel = b + j / kPanel * panelStride;
            for (I i = 0; i < some; i += kTileRows)
                tileRow(copy + i * k, 1, kTileRows, panel, panelStride, k, std::min(kTileRows, some - i),
                        std::min(kColumns, n - j), c + (first + i) * cStride + j, cStride, add);
        }
    }
}

void gemm(const GemmPart* parts, I count, I m, I n, float* c, I cStride, bool add)
{
    for (I s = 0; s < count; ++s) {
        const GemmPart& part = parts[s];
        const I stretches = (part.k + kStretch - 1) / kStretch;
        for (I number = 0; number < stretches; ++number) {
            const I from = part.k * number / stretches, k = part.k * (number + 1) / stretches - from;
            const float *a = part.a + from * part.colStride, *b = part.b + from * kPanel;
            const auto run = part.colStride == 1 ? stretch : copiedStretch;
            run(a, part.rowStride, part.colStride, b, part.panelStride, k, m, n, c, cStride, add);
            add = true;
        }
    }
}

void packPanels(const float* x, I rowStride, I colStride, I k, I n, float scale, float* out, I panelStride)
{
    for (I j = 0; j < n; j += kPanel) {
        const I columns = std::min(kPanel, n - j);
        const float* from = x + j * colStride;
        float* to = out + j / kPanel * panelStride;
        if (columns == kPanel && colStride == 1) {
            for (I p = 0; p < k; ++p) {
                for (I q = 0; q < kPanel; ++q)
                    to[p * kPanel + q] = from[p * rowStride + q] * scale;
            }
            continue;
        }
        for (I p = 0; p < k; p += 16) { // small squares stay in the cache
            const I end = std::min(k, p + 16);
            for (I q = 0; q < kPanel; ++q) {
                for (I row = p; row < end; ++row)
                    to[row * kPanel + q] = q < columns ? from[row * rowStride + q * colStride] * scale : 0.0f;
            }
        }
    }
}

/// Sum of the lanes, halves folded onto each other.
template <int... Lane>
inline float foldedSum(Vec v, std::integer_sequence<int, Lane...>)
{
    constexpr int kCount = static_cast<int>(kLanes);
    if constexpr (kCount > 8)
        v += __builtin_shufflevector(v, v, (Lane ^ 8 % kCount)...);
    if constexpr (kCount > 4)
        v += __builtin_shufflevector(v, v, (Lane ^ 4 % kCount)...);
    v += __builtin_shufflevector(v, v, (Lane ^ 2)...);
    v += __builtin_shufflevector(v, v, (Lane ^ 1)...);
    return v[0];
}
inline float sumOfLanes(Vec v) { return foldedSum(v, std::make_integer_sequence<int, static_cast<int>(kLanes)>()); }

/// sum + x w^T of a tail, one by one; out of line so that all callers get the same bits.
__attribute__((noinline)) float tailDot(const float* x, const float* w, I n, float sum)
{
    for (I i = 0; i < n; ++i)
        sum += x[i] * w[i];
    return sum;
}
/// The same of values in 16 bits; n is less than a vector.
template<class Half> float tailDot(const float* x, const Half* w, I n, float sum)
{
    float wide[kLanes];
    for (I i = 0; i < n; ++i)
        wide[i] = widened(w[i]);
    return tailDot(x, wide, n, sum);
}

/// `Wide` rows of w, in 32 or 16 bits, at once against `Rows` rows of x; the tail of k is summed one by one.
template <int Rows, int Wide, class W>
void fewRowsOf(const float* x, const W* w, float* y, I n, I k, I wStride, I yStride)
{
    for (I j = 0; j < n; j += Wide) {
        const int some = static_cast<int>(std::min<I>(Wide, n - j));
        const W* row[Wide];
        for (int c = 0; c < Wide; ++c)
            row[c] = w + (j + std::min(c, some - 1)) * wStride;
        Vec sums[Rows][Wide];
        for (int r = 0; r < Rows; ++r) {
            for (int c = 0; c < Wide; ++c)
                sums[r][c] = Vec{};
        }
        I p = 0;
        for (; p + kLanes <= k; p += kLanes) {
            Vec right[Wide];
            for (int c = 0; c < Wide; ++c) {
                right[c] = loadVec(row[c] + p);
                __builtin_prefetch(row[c] + Wide * wStride + p, 0, 2); // the rows that come next
            }
            for (int r = 0; r < Rows; ++r) {
                const Vec left = loadVec(x + r * k + p);
                for (int c = 0; c < Wide; ++c)
                    sums[r][c] += left * right[c];
            }
        }
        for (int r = 0; r < Rows; ++r) {
            for (int c = 0; c < some; ++c) {
                const float sum = sumOfLanes(sums[r][c]);
                y[r * yStride + j + c] = p < k ? tailDot(x + r * k + p, row[c] + p, k - p, sum) : sum;
            }
        }
    }
}

/// Rows of w lie wStride apart.
template <class W>
void fewRowsApart(const float* x, const W* w, float* y, I m, I n, I k, I wStride, I yStride)
{
    if (m == 1)
        return fewRowsOf<1, 4>(x, w, y, n, k, wStride, yStride);
    // Pieces of w stay in the first-level cache while all rows of x pass by.
    const I piece = std::max<I>(12, 4096 / k / 12 * 12);
    for (I j = 0; j < n; j += piece) {
        const I some = std::min(piece, n - j);
        const W* part = w + j * wStride;
        I r = 0;
        for (; kLanes == 16 && r + 8 <= m; r += 8)
            fewRowsOf<8, 3>(x + r * k, part, y + r * yStride + j, some, k, wStride, yStride);
        for (; r + 4 <= m; r += 4)
            fewRowsOf<4, 3>(x + r * k, part, y + r * yStride + j, some, k, wStride, yStride);
        for (; r + 2 <= m; r += 2)
            fewRowsOf<2, 4>(x + r * k, part, y + r * yStride + j, some, k, wStride, yStride);
        if (r < m)
            fewRowsOf<1, 4>(x + r * k, part, y + r * yStride + j, some, k, wStride, yStride);
    }
}

void fewRows(const float* x, const float* w, float* y, I m, I n, I k, I yStride)
{
    fewRowsApart(x, w, y, m, n, k, k, yStride);
}

/// Four rows of w at once; a piece of them stays in the first-level cache while all rows of x pass by.
void fewRowsAcross(const float* x, const float* w, float* y, I m, I n, I k, I xStride, I wStride, I yStride)
{
    for (I r = 0; r < m; ++r)
        std::fill_n(y + r * yStride, n, 0.0f);
    I p = 0;
    for (; p + 4 <= k; p += 4) {
        const float *w0 = w + p * wStride, *w1 = w0 + wStride, *w2 = w1 + wStride, *w3 = w2 + wStride;
        for (I r = 0; r < m; ++r) {
            const float* a = x + r * xStride + p;
            const float a0 = a[0], a1 = a[1], a2 = a[2], a3 = a[3];
            float* out = y + r * yStride;
#pragma omp simd
            for (I j = 0; j < n; ++j)
                out[j] += a0 * w0[j] + a1 * w1[j] + a2 * w2[j] + a3 * w3[j];
        }
    }
    for (; p < k; ++p) {
        for (I r = 0; r < m; ++r) {
            const float a = x[r * xStride + p];
            float* out = y + r * yStride;
#pragma omp simd
            for (I j = 0; j < n; ++j)
                out[j] += a * w[p * wStride + j];
        }
    }
}
