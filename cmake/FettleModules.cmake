# One static library per room of core/: add_core_module(name SOURCES ... LINKS ... [TORCH]).
# TORCH gives the module the LibTorch headers and the shared precompiled header.

add_library(fettle_flags INTERFACE)
target_compile_options(fettle_flags INTERFACE
    -Wall -Wextra -Wshadow -Wnon-virtual-dtor -Wold-style-cast -Woverloaded-virtual -Wno-missing-field-initializers
    $<$<BOOL:${FETTLE_WERROR}>:-Werror>)
target_compile_definitions(fettle_flags INTERFACE QT_NO_KEYWORDS)

function(add_core_module name)
    cmake_parse_arguments(ARG "TORCH" "" "SOURCES;LINKS;PRIVATE_LINKS" ${ARGN})
    add_library(fettle_${name} STATIC ${ARG_SOURCES})
    target_include_directories(fettle_${name} PUBLIC ${PROJECT_SOURCE_DIR}/core)
    target_link_libraries(fettle_${name} PUBLIC ${ARG_LINKS} PRIVATE fettle_flags ${ARG_PRIVATE_LINKS})
    if(ARG_TORCH)
        target_link_libraries(fettle_${name} PRIVATE LibTorch::Cpu)
        target_compile_options(fettle_${name} PRIVATE -fopenmp)
        # The wheel's headers bring a newer fmt than the system's library; header-only keeps the two apart.
        target_compile_definitions(fettle_${name} PRIVATE FMT_HEADER_ONLY)
        if(NOT name STREQUAL "tensor")
            target_precompile_headers(fettle_${name} REUSE_FROM fettle_tensor)
        else()
            target_precompile_headers(fettle_tensor PRIVATE ${PROJECT_SOURCE_DIR}/core/tensor/torch_pch.h)
        endif()
    endif()
endfunction()

# One Qt Test program: add_fettle_test(name SOURCES ... LINKS ... LABEL unit|train|ui [TORCH] [WIDGETS]).
function(add_fettle_test name)
    cmake_parse_arguments(ARG "TORCH;WIDGETS" "LABEL" "SOURCES;LINKS" ${ARGN})
    add_executable(${name} ${ARG_SOURCES})
    set_target_properties(${name} PROPERTIES AUTOMOC ON)
    target_include_directories(${name} PRIVATE ${PROJECT_SOURCE_DIR}/tests ${PROJECT_SOURCE_DIR})
    target_link_libraries(${name} PRIVATE ${ARG_LINKS} fettle_flags Qt6::Test)
    target_compile_definitions(${name} PRIVATE FETTLE_SOURCE_DIR="${PROJECT_SOURCE_DIR}"
                                               FETTLE_BIN_DIR="${CMAKE_RUNTIME_OUTPUT_DIRECTORY}")
    if(ARG_TORCH)
        target_link_libraries(${name} PRIVATE LibTorch::Cpu)
    endif()
    add_test(NAME ${name} COMMAND ${name})
    set_tests_properties(${name} PROPERTIES LABELS "${ARG_LABEL}"
        ENVIRONMENT "QT_QPA_PLATFORM=offscreen;LC_ALL=C.UTF-8;OMP_WAIT_POLICY=PASSIVE")
    if(ARG_TORCH)
        set_tests_properties(${name} PROPERTIES RUN_SERIAL ON) # uses every core itself
    endif()
endfunction()
