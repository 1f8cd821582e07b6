#pragma once

#include <cstdint>

namespace fettle::tensor {

struct TileKernels;

/// What AdamW needs for one step, corrected for bias outside the kernel.
struct AdamwStep
{
    float learningRate, beta1, beta2, epsilon, weightDecay;
    float correction1;      ///< 1 - beta1^t
    float rootCorrection2;  ///< sqrt(1 - beta2^t)
    float gradScale;        ///< multiplies the gradient (clipping)
};

/// Columns of a right side that lie together, see CpuKernels::packPanels.
constexpr std::int64_t kPanel = 16;

/// Rows of a left side up to which CpuKernels::fewRows is the better product.
constexpr std::int64_t kFewRows = 32;

/// One product of a sum of products: a [m, k] with any strides, b in panels.
struct GemmPart
{
    const float* a;
    std::int64_t rowStride, colStride;
    const float* b;           ///< [n / 16][k][16]
    std::int64_t panelStride; ///< floats from one panel of b to the next
    std::int64_t k;
};

/// A norm over rows of `dim`: (x - mean) / sqrt(mean((x - mean)^2) + eps) * (weight + plus) + bias, where the
/// mean is 0 unless `centred`. Sources: Ba et al. 2016, "Layer Normalization", eq. 4; Zhang and Sennrich 2019,
/// "Root Mean Square Layer Normalization", eq. 4.
struct NormWeights
{
    const float* weight = nullptr;
    const float* bias = nullptr; ///< null: none
    std::int64_t dim = 0;
    float eps = 0, plus = 0;
    bool centred = false;
};

enum class Activation { Silu, Gelu, GeluTanh, QuickGelu, Relu, ReluSquare };

/// Where heads lie in rows, and how many of their leading dimensions turn.
struct HeadRows
{
    std::int64_t rows, heads, rowStride, headStride, turned;
};

/// Causal attention of one document: the queries of a group on the key/value head that they share.
/// Rows of q lie qStride floats apart, those of out outStride, the heads of the group headDim; rows of k
/// and v kvStride.
struct AttentionHead
{
    const float *q, *k, *v;
    float* out;
    float* lse; ///< [group, lseStride]: log of the sum of exponentials of each query
    std::int64_t qStride, kvStride, outStride, lseStride, length, headDim, group;
    std::int64_t window; ///< a query sees keys less than so many places back; 0: all before it
    float scale;
    float softcap = 0;   ///< scores s -> c tanh(s / c); 0: none
};

/// Keys and values of tokens before the document, which all its queries see (but for the window), in panels.
struct EarlierKeys
{
    const float* keys = nullptr;   ///< [length / 16][headDim][16]
    const float* values = nullptr; ///< [headDim / 16][length][16]
    std::int64_t length = 0;
};

/// dOut is laid out as out, the others as q, k and v.
struct AttentionGradients
{
    const float* dOut;
    float *dq, *dk, *dv;
};

/// Float32 kernels, serial over the range they are given; the callers cut ranges for
/// threads. Chosen once at start for the best instruction set of the machine.
struct CpuKernels
{
    const char* name;  ///< "AMX", "AVX-512", "AVX2", "baseline"

    void (*norm)(const NormWeights& norm, const float* x, float* y, std::int64_t rows);
    /// dx from dy, in the place of dy or x if asked; dw and db [dim] are added to unless null.
    void (*normBackward)(const NormWeights& norm, const float* dy, const float* x, float* dx, float* dw, float* db,
                         std::int64_t rows);
    /// Rotates halves (NeoX order) of the leading dimensions of each head: x and y as `shape` says, maybe the
    /// same; cosine, sine [rows, turned / 2]. sign +1 forward, -1 backward.
    void (*rope)(const float* x, float* y, const float* cosine, const float* sine, const HeadRows& shape, float sign);
    /// h = activation(gate) * up; without the factor where `up` is null.
    void (*activate)(Activation activation, const float* gate, const float* up, float* h, std::int64_t n);
    /// dGate and dUp may be gate and up themselves; h is made again unless null.
    void (*activateBackward)(Activation activation, const float* dh, const float* gate, const float* up, float* dGate,
                             float* dUp, float* h, std::int64_t n);
    /// Cross-entropy of one row; the logits are overwritten by (softmax - onehot) * scale. Gives the
    /// negative log-likelihood in nats; `best` becomes the index of the largest logit.
    double (*lossRow)(float* logits, std::int64_t vocab, std::int64_t label, float scale, std::int64_t* best);
    /// The same without the gradient; the logits stay.
    double (*nllRow)(const float* logits, std::int64_t vocab, std::int64_t label, std::int64_t* best);
    double (*sumOfSquares)(const float* x, std::int64_t n);
    /// Decoupled weight decay (Loshchilov and Hutter 2019, algorithm 2).
    void (*adamw)(float* p, const float* g, float* m, float* v, std::int64_t n, const AdamwStep& step);
    /// One query group against one key/value head of a cache: q, out [group, headDim], k, v rows with
    /// the given stride, scores [group, length] scratch. Softmax over all `length` rows.
    void (*decodeAttention)(const float* q, const float* k, const float* v, float* out, float* scores,
                            std::int64_t group, std::int64_t headDim, std::int64_t length, std::int64_t stride,
                            float scale, float softcap);
    /// mask[i] = random word of (key, step, index) < threshold ? 0 : keepScale (Philox 4x32-10).
    void (*dropoutMask)(float* mask, std::int64_t begin, std::int64_t n, std::uint64_t step, std::uint32_t key0,
                        std::uint32_t key1, std::uint32_t threshold, float keepScale);
    /// c [m, n] = sum of the products of the parts, added to c when `add`; rows of c lie cStride apart.
    void (*gemm)(const GemmPart* parts, std::int64_t count, std::int64_t m, std::int64_t n, float* c,
                 std::int64_t cStride, bool add);
    /// x [k, n] with any strides, times `scale`, as panels [n / 16][k][16]; the last is filled with zeros.
    void (*packPanels)(const float* x, std::int64_t rowStride, std::int64_t colStride, std::int64_t k, std::int64_t n,
                       float scale, float* out, std::int64_t panelStride);
    /// y [m, n] = x [m, k] w [n, k]^T for few rows x: w is read once, as it lies in memory. Rows of y lie
    /// yStride apart.
    void (*fewRows)(const float* x, const float* w, float* y, std::int64_t m, std::int64_t n, std::int64_t k,
                    std::int64_t yStride);
    /// The same for w [k, n] that is stored the other way round, its rows wStride apart.
    void (*fewRowsAcross)(const float* x, const float* w, float* y, std::int64_t m, std::int64_t n, std::int64_t k,
                          std::int64_t xStride, std::int64_t wStride, std::int64_t yStride);
    /// Floats of scratch that the two below need, with so many earlier keys.
    std::int64_t (*attentionScratch)(const AttentionHead& head, std::int64_t before);
    /// Source: Dao et al. 2022, "FlashAttention", algorithms 1 and 2, over whole rows of scores.
    void (*attention)(const AttentionHead& head, const EarlierKeys& before, float* scratch);
    /// Without earlier keys.
    void (*attentionBackward)(const AttentionHead& head, const AttentionGradients& gradients, float* scratch);
    /// Larger products; null where the processor has no tiles.
    const TileKernels* tiles = nullptr;
};

/// The best variant for this machine, or the one that the environment variable FETTLE_KERNELS names.
const CpuKernels& cpuKernels();
/// The variant of that name, or null when this machine cannot run it (tests compare variants).
const CpuKernels* cpuKernelsNamed(const char* name);

} // namespace fettle::tensor
