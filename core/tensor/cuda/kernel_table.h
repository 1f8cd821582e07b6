#pragma once

#include <cstdint>

namespace fettle::tensor::cuda {

/// Number types that the kernels read and write; they compute in float32.
enum class Number { Float32, BFloat16 };

/// Rows of a root-mean-square norm, see RmsForward and RmsBackward. All arrays of `number` but `inverse`.
struct NormArgs
{
    Number number;
    const void *x, *weight; ///< [rows, dim], [dim]
    const void* dy;         ///< [rows, dim]; backward only
    void* out;              ///< y or dx [rows, dim]
    float* inverse;         ///< [rows]: one over the deviation; written forward, read backward
    float* weightGrad;      ///< [groups, dim] partial sums over kNormGroup rows each; null: none asked for
    std::int64_t rows, dim;
    float eps;
};

/// Rows of a layer norm of x + residual, see LayerForward and LayerBackward.
struct LayerNormArgs
{
    Number number;
    const void* x;               ///< [rows, dim]; backward: x + residual
    const void* residual;        ///< [rows, dim] or null; forward only
    void* sum;                   ///< [rows, dim]: x + residual; written where there is one
    const void *weight, *bias;   ///< [dim]; bias may be null
    const void *dy, *dSum;       ///< [rows, dim]; dSum, the gradient of the sum, may be null; backward only
    void* out;                   ///< y or dx [rows, dim]
    float *mean, *inverse;       ///< [rows]: and one over the deviation; written forward, read backward
    float *weightGrad, *biasGrad; ///< [groups, dim] partial sums as of NormArgs; null: none asked for
    std::int64_t rows, dim;
    float eps;
};

/// Rows that one partial sum of the gradient of a norm's weight takes together.
constexpr std::int64_t kNormGroup = 64;

/// Rotated halves: x, y [rows, heads, headDim]; cosine, sine float32 [rows, headDim / 2].
struct RopeArgs
{
    Number number;
    const void* x;
    void* y;
    const float *cosine, *sine;
    std::int64_t rows, heads, headDim;
    float sign; ///< +1 forward, -1 backward
};

/// Curves of the gate of a feed-forward part.
enum class Curve { Silu, Gelu, GeluTanh };

/// curve(gate) * up, and both gradients from dh; where `up` is null, curve(gate) alone.
struct GateArgs
{
    Number number;
    Curve curve;
    const void *gate, *up;
    const void* dh;  ///< backward only
    void *h;         ///< forward only
    void *dGate, *dUp;
    std::int64_t count;
};

/// y = x times the mask of CpuKernels::dropoutMask: the same bits on every device.
struct DropoutArgs
{
    Number number;
    const void* x;                ///< [rows, dim]
    void* y;
    const std::int64_t* places;   ///< [rows] or null: the number of the row
    std::int64_t rows, dim;
    std::uint64_t step;
    std::uint32_t key0, key1, threshold;
    float keepScale;
};

/// Softmax cross-entropy of rows of logits.
struct LossArgs
{
    Number number;
    void* logits;                ///< [rows, vocab]; become their gradient when `gradient`
    const std::int64_t* labels;  ///< [rows]
    float* nll;                  ///< [rows], nats
    std::int64_t* best;          ///< [rows]: index of the largest logit, the first of equals
    std::int64_t rows, vocab;
    float scale;                 ///< of the gradient
    bool gradient;
};

/// One tensor of an optimizer step.
struct AdamwTensor
{
    void* p;       ///< weights and
    const void* g; ///< their gradient, of the number that the step says
    float *m, *v;  ///< moments; where these are codes, the largest magnitude of each 256
    std::uint8_t *mCodes, *vCodes;
    std::int64_t count;
    float keep;         ///< 1 - learning rate * weight decay
    std::uint32_t site; ///< below 2^20: which tensor it is, for the noise
};

/// Several tensors in one launch: passed by value, within the 4 KiB of a kernel's parameters.
struct AdamwArgs
{
    static constexpr int kTensors = 48;
    AdamwTensor tensors[kTensors];
    int used;
    Number number; ///< weights in bfloat16 are rounded at random, right on average
    bool coded;    ///< moments are codes
    const float* maps; ///< [2, 256]: the values of codes of the first moment and of the second
    std::uint64_t step; ///< and the key: of the noise
    std::uint32_t key0, key1;
    float beta1, beta2, epsilon;
    float size;        ///< learning rate / (1 - beta1^t)
    float inverseRoot; ///< 1 / sqrt(1 - beta2^t)
    float gradScale;
};

/// Sums of squares of several tensors, each in kSlices slices.
struct SquaresArgs
{
    static constexpr int kTensors = 128, kSlices = 32;
    const void* values[kTensors];
    std::int64_t counts[kTensors];
    int used;
    Number number;
    double* sums; ///< [used, kSlices]
};

/// A frozen matrix in codes, see DecodeInt8 and DecodeNf4, and its values.
struct DecodeArgs
{
    Number number;
    bool fourBit;                   ///< NF4; else int8
    const void* codes;              ///< [rows, columns] signed bytes; of 4 bits two in each byte
    const float* scales;            ///< [rows, ceil(columns / 64)]; of 4 bits one for 256 of scaleCodes
    const std::uint8_t* scaleCodes; ///< of 4 bits: one for 64 values
    const float* maps;              ///< of 4 bits: [256 + 16] what codes of scales and of values stand for
    float offset;                   ///< of 4 bits: added to the scales
    void* out;                      ///< [rows, columns]
    std::int64_t rows, columns;
};

/// What libfettle_cuda.so gives: each starts its kernel on the default stream of the current device and
/// returns 0, or the number of an error that errorText() names. All pointers are of the device.
struct KernelTable
{
    int version; ///< kVersion of the library's build
    int (*rmsForward)(const NormArgs&);
    int (*rmsBackward)(const NormArgs&);
    int (*layerForward)(const LayerNormArgs&);
    int (*layerBackward)(const LayerNormArgs&);
    int (*rope)(const RopeArgs&);
    int (*gate)(const GateArgs&);
    int (*gateBackward)(const GateArgs&);
    int (*dropout)(const DropoutArgs&);
    int (*loss)(const LossArgs&);
    int (*adamw)(const AdamwArgs&);
    int (*sumsOfSquares)(const SquaresArgs&);
    int (*decode)(const DecodeArgs&);
    const char* (*errorText)(int);
};

/// Goes up whenever this file changes.
constexpr int kVersion = 4;

/// Name of the one function that the library exports: const KernelTable* fettle_cuda_kernels().
constexpr const char* kEntry = "fettle_cuda_kernels";

} // namespace fettle::tensor::cuda
