// hypura_compare MODEL [SHARE...]: compares streamed with resident logits of one model, at the
// least budget and at shares of its weights above that. For finding out why a golden test fails.
#include <cstdio>
#include <cstdlib>
#include <string>
#include <vector>

#include "golden/golden.h"

int main(int argc, char** argv) {
  if (argc < 2) return 2;
  std::vector<double> shares;
  for (int i = 2; i < argc; ++i) shares.push_back(std::atof(argv[i]));
  const std::string result = hypura::golden::compare_at_budgets({.model = argv[1]}, shares);
  std::puts(result.empty() ? "equal" : result.c_str());
  return result.empty() ? 0 : 1;
}
