#include "server/ollama/template.h"

#include <gtest/gtest.h>

namespace hypura::ollama {
namespace {

std::string rendered(const std::string& text, const std::string& system = "") {
  const auto result =
      render_template(text, {{"System", system}, {"Prompt", "hi"}, {"Suffix", ""}});
  return result.ok() ? *result : "error: " + result.status().message();
}

TEST(Template, PutsValuesInTheirPlaces) {
  EXPECT_EQ(rendered("{{ .Prompt }}"), "hi");
  EXPECT_EQ(rendered("<s>{{.System}}|{{ .Prompt }}</s>", "be"), "<s>be|hi</s>");
}

TEST(Template, HasConditions) {
  const std::string text =
      "{{ if .System }}<|system|>{{ .System }}{{ else }}none{{ end }}<|user|>{{ .Prompt }}";
  EXPECT_EQ(rendered(text, "be"), "<|system|>be<|user|>hi");
  EXPECT_EQ(rendered(text), "none<|user|>hi");
  EXPECT_EQ(rendered("{{ if .System }}a{{ else if .Prompt }}b{{ else }}c{{ end }}"), "b");
  EXPECT_EQ(rendered("{{ if .System }}{{ if .Prompt }}a{{ else }}b{{ end }}{{ end }}c"), "c");
}

TEST(Template, MinusTrims) {
  EXPECT_EQ(rendered("a \n{{- .Prompt -}}\n b"), "ahib");
  EXPECT_EQ(rendered("a \n{{- .Prompt }} b"), "ahi b");
  EXPECT_EQ(rendered("a \n{{- if .Prompt -}}\n b{{ end }}"), "ab");
  EXPECT_EQ(rendered("a \n{{- /* x */ -}}\n b"), "ab");
}

TEST(Template, EndsAtTheResponse) {
  EXPECT_EQ(rendered("{{ .Prompt }}<|assistant|>{{ .Response }}<|end|>"), "hi<|assistant|>");
}

TEST(Template, WhatItDoesNotKnowIsNamed) {
  for (const char* text : {"{{ range .Messages }}x{{ end }}", "{{ .Tools }}", "{{ .Prompt",
                           "{{ if .System }}", "{{ end }}", "{{ else }}", "{{ len .Prompt }}"}) {
    EXPECT_TRUE(rendered(text).starts_with("error: template: ")) << text;
  }
}

}  // namespace
}  // namespace hypura::ollama
