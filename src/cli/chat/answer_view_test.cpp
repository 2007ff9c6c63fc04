#include "cli/chat/answer_view.h"

#include <gtest/gtest.h>

namespace hypura::cli {
namespace {

// As those of models that think: what was thought before is left out, thinking can be switched off.
constexpr const char* kThinker =
    "{%- for message in messages -%}"
    "{%- set content = message.content -%}"
    "{%- if message.role == 'assistant' and '</think>' in content -%}"
    "{%- set content = content.split('</think>')[-1].lstrip('\\n') -%}"
    "{%- endif -%}"
    "{%- if message.role == 'assistant' and message.reasoning_content is defined and "
    "message.reasoning_content -%}"
    "{{- '<|im_start|>assistant\\n<think>\\n' + message.reasoning_content + '\\n</think>\\n\\n' + "
    "content + '<|im_end|>\\n' -}}"
    "{%- else -%}"
    "{{- '<|im_start|>' + message.role + '\\n' + content + '<|im_end|>\\n' -}}"
    "{%- endif -%}"
    "{%- endfor -%}"
    "{%- if add_generation_prompt -%}"
    "{{- '<|im_start|>assistant\\n' -}}"
    "{%- if enable_thinking is defined and enable_thinking is false -%}"
    "{{- '<think>\\n\\n</think>\\n\\n' -}}"
    "{%- endif -%}"
    "{%- endif -%}";

common_chat_parser_params thinker() {
  const common_chat_templates_ptr templates = common_chat_templates_init(nullptr, kThinker);
  common_chat_templates_inputs inputs;
  common_chat_msg message;
  message.role = "user";
  message.content = "Hello";
  inputs.messages = {message};
  inputs.reasoning_format = COMMON_REASONING_FORMAT_DEEPSEEK;
  common_chat_params applied = common_chat_templates_apply(templates.get(), inputs);
  common_chat_parser_params syntax(applied);
  syntax.reasoning_format = inputs.reasoning_format;
  syntax.parser.load(applied.parser);
  return syntax;
}

struct Shown {
  std::string answer;
  std::string notes;
  common_chat_msg message;
};

// `size` bytes at a time.
Shown show(const common_chat_parser_params& syntax, bool has_template, const std::string& text,
           size_t size, bool complete = true) {
  testing::internal::CaptureStdout();
  testing::internal::CaptureStderr();
  AnswerView view(syntax, has_template);
  for (size_t at = 0; at < text.size(); at += size) EXPECT_TRUE(view.push(text.substr(at, size)));
  EXPECT_TRUE(view.finish(complete));
  return {.answer = testing::internal::GetCapturedStdout(),
          .notes = testing::internal::GetCapturedStderr(),
          .message = view.message()};
}

TEST(AnswerView, WithoutATemplateTextIsShownAsItIs) {
  const Shown shown = show({}, false, "<think>1 < 2", 3);
  EXPECT_EQ(shown.answer, "<think>1 < 2\n");
  EXPECT_EQ(shown.notes, "");
  EXPECT_EQ(shown.message.content, "<think>1 < 2");
  EXPECT_EQ(shown.message.role, "assistant");
}

TEST(AnswerView, ThoughtsAreShownApart) {
  const common_chat_parser_params syntax = thinker();
  for (const size_t size : {1, 4, 100}) {
    const Shown shown = show(syntax, true, "<think>\nHm, 2 < 3.\n</think>\n\nIt is 5 > 4.", size);
    EXPECT_EQ(shown.answer, "It is 5 > 4.\n") << size;
    EXPECT_NE(shown.notes.find("Hm, 2 < 3."), std::string::npos) << shown.notes;
    EXPECT_EQ(shown.notes.find("think>"), std::string::npos) << shown.notes;
    EXPECT_EQ(shown.message.content, "It is 5 > 4.");
    EXPECT_TRUE(shown.message.reasoning_content.starts_with("Hm, 2 < 3."));
  }
}

TEST(AnswerView, AnAnswerWithoutThoughtsIsAnAnswer) {
  const Shown shown = show(thinker(), true, "Paris.", 2);
  EXPECT_EQ(shown.answer, "Paris.\n");
  EXPECT_EQ(shown.notes, "");
}

TEST(AnswerView, ThoughtsThatAreCutOffStayApart) {
  const common_chat_parser_params syntax = thinker();
  for (const bool complete : {true, false}) {
    const Shown shown = show(syntax, true, "<think>\nHm, and", 3, complete);
    EXPECT_EQ(shown.answer, "\n");
    EXPECT_NE(shown.notes.find("Hm, and"), std::string::npos) << shown.notes;
    EXPECT_EQ(shown.message.content, "");
  }
}

}  // namespace
}  // namespace hypura::cli
