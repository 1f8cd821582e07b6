# LibTorch 2.11.0 from the unpacked PyPI wheel, as imported targets of our own. The wheel's own
# TorchConfig.cmake is not used: it would demand a CUDA toolkit.
set(_default "$ENV{FETTLE_LIBTORCH}")
if(NOT _default)
    if(DEFINED ENV{FETTLE_CACHE})
        set(_default "$ENV{FETTLE_CACHE}/libtorch-2.11.0")
    elseif(DEFINED ENV{XDG_CACHE_HOME})
        set(_default "$ENV{XDG_CACHE_HOME}/fettle/libtorch-2.11.0")
    else()
        set(_default "$ENV{HOME}/.cache/fettle/libtorch-2.11.0")
    endif()
endif()
set(FETTLE_LIBTORCH "${_default}" CACHE PATH "Folder with the unpacked torch 2.11.0 wheel (torch/, nvidia/)")

set(_torch "${FETTLE_LIBTORCH}/torch")
if(NOT EXISTS "${_torch}/lib/libtorch_cpu.so")
    message(FATAL_ERROR "LibTorch was not found in ${FETTLE_LIBTORCH}. "
        "Run packaging/setup.sh, which fetches and unpacks it, or set FETTLE_LIBTORCH.")
endif()
file(STRINGS "${_torch}/version.py" _version REGEX "__version__ = ")
if(NOT _version MATCHES "'2\\.11\\.0")
    message(FATAL_ERROR "LibTorch in ${FETTLE_LIBTORCH} is not 2.11.0 (${_version}). Run packaging/setup.sh.")
endif()

add_library(LibTorch::C10 SHARED IMPORTED)
set_target_properties(LibTorch::C10 PROPERTIES IMPORTED_LOCATION "${_torch}/lib/libc10.so")

add_library(LibTorch::Cpu SHARED IMPORTED)
set_target_properties(LibTorch::Cpu PROPERTIES
    IMPORTED_LOCATION "${_torch}/lib/libtorch_cpu.so"
    INTERFACE_LINK_LIBRARIES LibTorch::C10
    INTERFACE_INCLUDE_DIRECTORIES "${_torch}/include;${_torch}/include/torch/csrc/api/include"
    INTERFACE_LINK_OPTIONS "-Wl,-rpath-link,${FETTLE_LIBTORCH}/nvidia/cu13/lib")
# The OpenMP runtime that libtorch_cpu itself needs: linking it directly keeps one copy in the process.
file(GLOB _gomp "${_torch}/lib/libgomp*.so*")
list(GET _gomp 0 _gomp)
target_link_libraries(LibTorch::Cpu INTERFACE ${_gomp})
