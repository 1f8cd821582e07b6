#pragma once

#include "tensor/cuda/make_table.h"

#include <vector>

namespace fettle::tests {

/// The kernels of the graphics card carried out on the processor, one block after the other and one
/// thread after the other in each phase: the same arithmetic in the same order.
struct OnHost
{
    template<int Threads> struct Block
    {
        static constexpr int kThreads = Threads;
        double* memory;

        void wait() {}
        template<class F> void each(F f)
        {
            for (int t = 0; t < Threads; ++t)
                f(t);
        }
    };

    template<int Threads, class Body> static int rows(const Body& body, std::int64_t rows)
    {
        std::vector<double> memory(tensor::cuda::kSlots * Threads);
        for (std::int64_t row = 0; row < rows; ++row) {
            Block<Threads> block{memory.data()};
            body(block, row);
        }
        return 0;
    }
    template<class Body> static int elements(const Body& body, std::int64_t count)
    {
        for (std::int64_t i = 0; i < count; ++i)
            body(i);
        return 0;
    }
    template<class Body> static int tensors(const Body& body, int tensors, std::int64_t)
    {
        for (int tensor = 0; tensor < tensors; ++tensor) {
            for (std::int64_t i = 0; i < body.count(tensor); ++i)
                body(tensor, i);
        }
        return 0;
    }
    static const char* errorText(int) { return "no error"; }
};

inline const tensor::cuda::KernelTable& hostTable()
{
    static const auto table = tensor::cuda::Make<OnHost>::table();
    return table;
}

} // namespace fettle::tests
