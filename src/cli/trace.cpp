#include "cli/trace.h"

#include <fmt/format.h>

#include <filesystem>
#include <memory>
#include <utility>

#include "base/clock.h"
#include "cli/command_line.h"
#include "cli/one_prompt.h"
#include "cli/output_file.h"
#include "cli/run_options.h"
#include "cli/terminal.h"
#include "trace/routing_csv.h"

namespace hypura::cli {
namespace {

struct TraceWords {
  std::string output;
  bool follow = false;
};

RunCommand trace_command(TraceWords& words) {
  return {.name = "trace",
          .description =
              "Runs a mixture-of-experts model and records which experts its routers "
              "choose, as CSV.",
          .describe = [&words](CommandLine& line) {
            line.option("-o,--output", words.output, "file that gets the trace; replaced", "FILE");
            line.flag(
                "--follow", words.follow,
                "generate nothing: the prompt is taken token by token, and counts as decoded; "
                "where the context is full it starts anew, as another turn");
          }};
}

Status check(const RunOptions& options, const TraceWords& words) {
  if (words.output.empty()) {
    return Status(StatusCode::invalid_argument, "trace needs a file to write to")
        .suggest("-o trace.csv");
  }
  if (options.interactive) {
    return Status(StatusCode::invalid_argument, "trace and -i exclude each other")
        .suggest("-p or -f");
  }
  if (options.engine.draft.kind != DraftOptions::Kind::none) {
    return Status(StatusCode::invalid_argument, "trace and --draft exclude each other")
        .because("tokens that are drafted and not accepted are routed, too");
  }
  const Mode mode = options.engine.mode;
  if (mode != Mode::automatic && mode != Mode::experts) {
    return Status(StatusCode::invalid_argument,
                  fmt::format("trace and --mode {} exclude each other", to_string(mode)))
        .because("routing is seen where experts stream")
        .suggest("--ram-budget for how many of them stay in memory");
  }
  if (words.follow && options.engine.params.n_predict >= 0) {
    return Status(StatusCode::invalid_argument, "--follow and -n exclude each other")
        .because("nothing is generated when a text is followed");
  }
  return Status();
}

Status check_model(const std::string& path) {
  Result<ModelIndex> index = ModelIndex::open(path);
  if (!index.ok()) return index.status();
  if (index->info().expert_count > 0) return Status();
  return Status(StatusCode::invalid_argument,
                fmt::format("{} has no experts: nothing is routed", path));
}

TraceHeader header_of(const Engine& engine) {
  const ModelInfo& info = engine.index().info();
  const std::string& path = engine.index().shards().front().path;
  return {.model = std::filesystem::path(path).filename().string(),
          .architecture = info.architecture,
          .layers = static_cast<uint32_t>(info.layer_count),
          .experts = static_cast<uint32_t>(info.expert_count),
          .experts_used = static_cast<uint32_t>(info.expert_used_count)};
}

// Decodes a given text token by token, in contexts as long as they get.
Status follow_text(Engine& engine, const RunOptions& options, std::vector<llama_token> text,
                   RoutingCsvWriter& writer, RunReport& report) {
  const llama_memory_t memory = llama_get_memory(engine.context());
  if (memory == nullptr || llama_model_has_encoder(engine.model())) {
    return Status(StatusCode::invalid_argument,
                  "--follow needs a model that decodes token by token");
  }
  if (!options.json) write_note(plan_text(engine) + "\n");
  const double start = now_seconds();
  Answer& answer = report.answer;
  for (llama_token& token : text) {
    if (answer.prompt_tokens % llama_n_ctx(engine.context()) == 0) {
      llama_memory_clear(memory, true);
      writer.begin_turn(0);
    }
    const Status status = engine.decode(llama_batch_get_one(&token, 1));
    if (engine.interrupted()) answer.stop = StopReason::interrupted;
    if (engine.interrupted()) break;
    if (!status.ok()) return status;
    ++answer.prompt_tokens;
  }
  answer.prompt_seconds = now_seconds() - start;
  answer.first_token_seconds = answer.prompt_seconds;
  report.finished = engine.stats();
  return write_report(engine, options, report);
}

}  // namespace

CommandDescription describe_trace() {
  TraceWords words;
  return describe(trace_command(words));
}

Status trace(const std::vector<std::string>& arguments) {
  TraceWords words;
  const RunCommand command = trace_command(words);
  Result<RunOptions> parsed = parse_run_options(arguments, command);
  if (!parsed.ok()) return parsed.status();
  RunOptions options = *std::move(parsed);
  if (options.help) {
    return write_answer(run_help(command)) ? Status() : write_failure();
  }
  if (Status status = check(options, words); !status.ok()) return status;
  if (Status status = check_model(options.engine.model_path); !status.ok()) return status;
  if (Status status = check_output(words.output, "-o"); !status.ok()) return status;
  Result<std::unique_ptr<RoutingCsvWriter>> created = RoutingCsvWriter::create(words.output);
  if (!created.ok()) return created.status();
  RoutingCsvWriter& writer = **created;

  options.engine.mode = Mode::experts;
  RunReport report;
  Result<std::unique_ptr<Engine>> opened = open_model(options, report);
  if (!opened.ok()) return opened.status();
  Engine& engine = **opened;
  if (Status status = writer.write_header(header_of(engine)); !status.ok()) return status;
  Result<std::vector<llama_token>> prompt = encode_prompt(engine, options);
  if (!prompt.ok()) return prompt.status();

  engine.set_recorder(&writer);
  Status status;
  if (words.follow) {
    status = follow_text(engine, options, *std::move(prompt), writer, report);
  } else {
    writer.begin_turn(prompt->size());
    status = answer_prompt(engine, options, *prompt, report);
  }
  engine.set_recorder(nullptr);
  const Status finished = writer.finish();
  return status.ok() ? finished : status;
}

}  // namespace hypura::cli
