// fcctl: the operator's hand on the CMDB.
#include <getopt.h>

#include <cstdio>
#include <cstdlib>
#include <string>
#include <vector>

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
    "KIND is key, class, spec, placement or host.\n"
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
  std::vector<std::string> words;
};

int UsageError(const std::string& message) {
  fprintf(stderr, "fcctl: %s (see fcctl --help)\n", message.c_str());
  return kExitUsage;
}

// -1: go on; else the exit status.
int Parse(int argc, char** argv, Arguments* arguments) {
  static const option kOptions[] = {
      {"cmdb", required_argument, nullptr, 'c'}, {"cluster-key", required_argument, nullptr, 'k'},
      {"json", no_argument, nullptr, 'j'},       {"help", no_argument, nullptr, 'h'},
      {"version", no_argument, nullptr, 'v'},    {nullptr, 0, nullptr, 0}};
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
constexpr Syntax kSyntax[] = {{"apply", 1, 1}, {"get", 2, 2},   {"list", 1, 1},    {"delete", 2, 2},
                              {"place", 1, 2}, {"drain", 1, 1}, {"undrain", 1, 1}, {"ps", 0, 0}};

int CheckWords(const std::vector<std::string>& words) {
  if (words.empty()) return UsageError("a command is needed");
  for (const Syntax& syntax : kSyntax) {
    if (words[0] != syntax.command) continue;
    if (words.size() - 1 < syntax.least) return UsageError(words[0] + ": too few arguments");
    if (words.size() - 1 > syntax.most) return UsageError(words[0] + ": too many arguments");
    bool kind = words[0] == "get" || words[0] == "list" || words[0] == "delete";
    if (kind && !KindOf(words[1])) return UsageError("KIND must be key, class, spec, placement or host");
    return kExitOk;
  }
  return UsageError("unknown command \"" + words[0] + "\"");
}

int Run(Command command, const std::vector<std::string>& words) {
  const std::string& name = words[0];
  if (name == "apply") return Apply(command, words[1]);
  if (name == "get") return Get(command, *KindOf(words[1]), words[2]);
  if (name == "list") return List(command, *KindOf(words[1]));
  if (name == "delete") return Delete(command, *KindOf(words[1]), words[2]);
  if (name == "place") return Place(command, words[1], words.size() > 2 ? words[2] : "");
  if (name == "drain") return Drain(command, words[1]);
  if (name == "undrain") return Undrain(command, words[1]);
  return Ps(command);
}

}  // namespace

int main(int argc, char** argv) {
  Arguments arguments;
  if (int status = Parse(argc, argv, &arguments); status >= 0) return status;
  if (int status = CheckWords(arguments.words); status != kExitOk) return status;
  if (arguments.cmdb.empty()) return UsageError("--cmdb is needed");
  Session session;
  Answer opened = session.Open(arguments.cmdb, arguments.cluster_key);
  if (opened.code != FC_OK) return Report(arguments.cmdb, opened);
  try {
    return Run({session, arguments.json}, arguments.words);
  } catch (
      const nlohmann::json::exception& error) {  // a record in the CMDB that is not as the library writes it
    return Report(arguments.words[0], {FC_E_CMDB, error.what()});
  }
}
