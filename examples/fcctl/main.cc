// fcctl: the operator's hand on the CMDB.
#include <getopt.h>

#include <charconv>
#include <cstdio>
#include <cstdlib>
#include <string>
#include <vector>

#include "examples/fcctl/archive.h"
#include "examples/fcctl/commands.h"

namespace {

constexpr const char kUsage[] =
    "usage: fcctl --cmdb URL [option...] COMMAND\n"
    "\n"
    "  apply FILE              write the records of FILE (\"-\": standard input), all of them checked "
    "first:\n"
    "                          "
    "{\"hosts\":{NAME:{...}},\"classes\":{...},\"specs\":{...},\"keys\":{\"example.test\":\"site-42\"}}\n"
    "  get KIND NAME           print one record\n"
    "  list KIND               print all records of a kind\n"
    "  delete KIND NAME        placements become tombstones; a spec takes its placement with it\n"
    "  place CONTAINER [HOST]  move it to HOST, or to the best other host that answers\n"
    "  drain HOST              give HOST nothing new, and move what is there\n"
    "  undrain HOST            use HOST again\n"
    "  ps                      where every container is, since when and why\n"
    "  scores                  the score tables: list, or\n"
    "  scores show CLASS       what the table of CLASS says of each host, the best first; \"*\" is for all "
    "classes\n"
    "                          that have none of their own\n"
    "  scores put CLASS FILE   write it (\"-\": standard input): {\"valid_s\":30,\"hosts\":{HOST:SCORE or "
    "null}}\n"
    "  scores delete CLASS\n"
    "  export [FILE]           all records of one moment, but those with a lease, one a line\n"
    "  import [FILE]           write what export wrote, all of it checked first, into an empty CMDB; or\n"
    "       --merge            add the records that it lacks: those that it has stay as they are\n"
    "       --replace          make it what FILE says; counts as restored\n"
    "       --restored         FILE is a backup, and processes have used what came after it\n"
    "  restored                the CMDB was set back to an older copy by its own tools: every process reads "
    "it\n"
    "                          anew, and no epoch is handed out twice\n"
    "  watch [PREFIX|KIND]     changes, one a line, until SIGINT; RESYNC: some were lost\n"
    "       --count N          until N have come\n"
    "       --timeout SECONDS  at most so long; status 1 if --count is not reached\n"
    "KIND is key, class, spec, placement, host or scores.\n"
    "\n"
    "  --cmdb URL              sqlite:/path, etcd://HOST:PORT or postgresql://HOST/DATABASE; default:\n"
    "                          $FASTCONTAINER_CMDB\n"
    "  --cluster-key FILE      the cluster's key; without it only loopback hosts are asked\n"
    "  --json                  one JSON object a line instead of a table\n"
    "  --help, --version\n"
    "\n"
    "exit status: 0 done; 1 failed, also in part; 2 wrong usage or input; 3 the CMDB does not answer or\n"
    "cannot be opened; 4 no such record; 5 others keep changing the record\n";

struct Arguments {
  std::string cmdb;
  std::string cluster_key;
  bool json = false;
  bool merge = false, replace = false, restored = false;
  WatchArguments watch;
  std::vector<std::string> words;
};

int UsageError(const std::string& message) {
  fprintf(stderr, "fcctl: %s (see fcctl --help)\n", message.c_str());
  return kExitUsage;
}

bool ReadCount(const std::string& text, uint64_t* count) {
  const char* const end = text.data() + text.size();
  const auto [stopped, error] = std::from_chars(text.data(), end, *count);
  return error == std::errc() && stopped == end && *count > 0;
}

bool ReadSeconds(const std::string& text, int64_t* milliseconds) {
  double seconds = 0;
  const char* const end = text.data() + text.size();
  const auto [stopped, error] = std::from_chars(text.data(), end, seconds);
  if (error != std::errc() || stopped != end || !(seconds >= 0 && seconds <= 1e6)) return false;
  *milliseconds = static_cast<int64_t>(seconds * 1000);
  return true;
}

// -1: go on; else the exit status.
int Parse(int argc, char** argv, Arguments* arguments) {
  static const option kOptions[] = {{"cmdb", required_argument, nullptr, 'c'},
                                    {"cluster-key", required_argument, nullptr, 'k'},
                                    {"json", no_argument, nullptr, 'j'},
                                    {"help", no_argument, nullptr, 'h'},
                                    {"version", no_argument, nullptr, 'v'},
                                    {"merge", no_argument, nullptr, 'm'},
                                    {"replace", no_argument, nullptr, 'r'},
                                    {"restored", no_argument, nullptr, 'R'},
                                    {"count", required_argument, nullptr, 'n'},
                                    {"timeout", required_argument, nullptr, 't'},
                                    {nullptr, 0, nullptr, 0}};
  if (const char* url = getenv("FASTCONTAINER_CMDB")) arguments->cmdb = url;
  for (int c = 0; (c = getopt_long(argc, argv, "h", kOptions, nullptr)) != -1;) {
    switch (c) {
      case 'c':
        arguments->cmdb = optarg;
        break;
      case 'k':
        arguments->cluster_key = optarg;
        break;
      case 'j':
        arguments->json = true;
        break;
      case 'm':
        arguments->merge = true;
        break;
      case 'r':
        arguments->replace = true;
        break;
      case 'R':
        arguments->restored = true;
        break;
      case 'n':
        if (!ReadCount(optarg, &arguments->watch.count))
          return UsageError("--count must be a whole number of at least 1");
        break;
      case 't':
        if (!ReadSeconds(optarg, &arguments->watch.timeout_ms))
          return UsageError("--timeout must be a number of seconds up to 1,000,000, like 2.5");
        break;
      case 'h':
        fputs(kUsage, stdout);
        return kExitOk;
      case 'v':
        printf("fcctl %s\n", fc_version());
        return kExitOk;
      default:
        return kExitUsage;
    }
  }
  arguments->words.assign(argv + optind, argv + argc);
  return -1;
}

struct Syntax {
  const char* command;
  size_t least, most;  // words after it
};
constexpr Syntax kSyntax[] = {{"apply", 1, 1},  {"get", 2, 2},    {"list", 1, 1},     {"delete", 2, 2},
                              {"place", 1, 2},  {"drain", 1, 1},  {"undrain", 1, 1},  {"ps", 0, 0},
                              {"export", 0, 1}, {"import", 0, 1}, {"restored", 0, 0}, {"watch", 0, 1},
                              {"scores", 0, 3}};

// Options of one command are an error with another.
int CheckOptions(const Arguments& arguments) {
  const std::string& name = arguments.words[0];
  if (name != "import" && (arguments.merge || arguments.replace || arguments.restored))
    return UsageError("--merge, --replace and --restored belong to import");
  if (arguments.merge && arguments.replace) return UsageError("--merge and --replace exclude each other");
  if (name != "watch" && (arguments.watch.count != 0 || arguments.watch.timeout_ms >= 0))
    return UsageError("--count and --timeout belong to watch");
  return kExitOk;
}

// The prefix of a watch: a CMDB key's beginning, or all records of a kind.
int ReadPrefix(const std::string& word, std::string* prefix) {
  *prefix = word;
  if (word.empty()) *prefix = kRoot;
  if (word.empty() || word[0] == '/') return kExitOk;
  const std::optional<uint32_t> kind = KindOf(word);
  char buffer[1024];
  if (!kind || fc_record_key(*kind, {nullptr, 0}, buffer, sizeof buffer) < 0)
    return UsageError("what to watch must be a prefix that begins with \"/\", or a KIND");
  *prefix = buffer;
  return kExitOk;
}

int CheckScores(const std::vector<std::string>& words) {
  const std::string verb = words.size() > 1 ? words[1] : "list";
  const size_t expected = verb == "list" ? 2 : verb == "put" ? 4 : 3;
  if (verb != "list" && verb != "show" && verb != "put" && verb != "delete")
    return UsageError("scores: what to do must be list, show, put or delete");
  if (words.size() > 1 && words.size() != expected) return UsageError("scores " + verb + ": wrong arguments");
  return kExitOk;
}

int CheckWords(const std::vector<std::string>& words) {
  if (words.empty()) return UsageError("a command is needed");
  for (const Syntax& syntax : kSyntax) {
    if (words[0] != syntax.command) continue;
    if (words.size() - 1 < syntax.least) return UsageError(words[0] + ": too few arguments");
    if (words.size() - 1 > syntax.most) return UsageError(words[0] + ": too many arguments");
    if (words[0] == "scores") return CheckScores(words);
    bool kind = words[0] == "get" || words[0] == "list" || words[0] == "delete";
    if (kind && !KindOf(words[1]))
      return UsageError("KIND must be key, class, spec, placement, host or scores");
    return kExitOk;
  }
  return UsageError("unknown command \"" + words[0] + "\"");
}

int Run(Command command, const Arguments& arguments) {
  const std::vector<std::string>& words = arguments.words;
  const std::string& name = words[0];
  const std::string file = words.size() > 1 ? words[1] : "-";
  if (name == "apply") return Apply(command, words[1]);
  if (name == "get") return Get(command, *KindOf(words[1]), words[2]);
  if (name == "list") return List(command, *KindOf(words[1]));
  if (name == "delete") return Delete(command, *KindOf(words[1]), words[2]);
  if (name == "place") return Place(command, words[1], words.size() > 2 ? words[2] : "");
  if (name == "drain") return Drain(command, words[1]);
  if (name == "undrain") return Undrain(command, words[1]);
  if (name == "export") return Export(command, file);
  if (name == "import") {
    const ImportMode mode = arguments.merge     ? ImportMode::kMerge
                            : arguments.replace ? ImportMode::kReplace
                                                : ImportMode::kEmpty;
    return ImportFile(command, file, mode, arguments.restored);
  }
  if (name == "scores") return Scores(command, {words.begin() + 1, words.end()});
  if (name == "restored") return Restored(command);
  if (name == "watch") return Watch(command, arguments.watch);
  return Ps(command);
}

}  // namespace

int main(int argc, char** argv) {
  Arguments arguments;
  if (int status = Parse(argc, argv, &arguments); status >= 0) return status;
  if (int status = CheckWords(arguments.words); status != kExitOk) return status;
  if (int status = CheckOptions(arguments); status != kExitOk) return status;
  if (arguments.words[0] == "watch") {
    const std::string word = arguments.words.size() > 1 ? arguments.words[1] : "";
    if (int status = ReadPrefix(word, &arguments.watch.prefix); status != kExitOk) return status;
  }
  if (arguments.cmdb.empty()) return UsageError("--cmdb is needed");
  Session session;
  Answer opened = session.Open(arguments.cmdb, arguments.cluster_key);
  if (opened.code != FC_OK) return Report(arguments.cmdb, opened);
  try {
    return Run({session, arguments.json}, arguments);
  } catch (
      const nlohmann::json::exception& error) {  // a record in the CMDB that is not as the library writes it
    return Report(arguments.words[0], {FC_E_CMDB, error.what()});
  }
}
