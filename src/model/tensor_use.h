#pragma once

#include <cstdint>

namespace hypura {

// How graphs use a weight, seen before anything is computed.
struct TensorUse {
  bool mapped = false;   // llama.cpp loaded it
  bool matmul = false;   // MUL_MAT of a plain matrix: pieces of rows will do
  bool experts = false;  // MUL_MAT_ID: the routed experts will do
  bool rows = false;     // GET_ROWS: the asked rows will do
  bool whole = false;    // any other way: all of it must be there
  uint32_t number = 0;   // in the order of uses; 0: not seen
};

}  // namespace hypura
