// Fetches Apache Kafka's jars from Maven Central into .cache/kafka-<version>/lib: `node cli/install-kafka.mjs`, or the
// function below. Does nothing when they are there; two processes may run it at once (each builds a folder of its own and
// renames it whole). Without Java 17 or Maven it fails with one line that says what to install. Node built-ins only.
import { spawn } from "node:child_process";
import { accessSync, constants, existsSync, mkdirSync, realpathSync, writeFileSync } from "node:fs";
import { mkdtemp, readdir, rename, rm } from "node:fs/promises";
import { delimiter, dirname, join } from "node:path";
import { fileURLToPath } from "node:url";

const VERSION = "4.3.1";
const cacheDir = join(dirname(dirname(fileURLToPath(import.meta.url))), ".cache");
const kafkaDir = join(cacheDir, `kafka-${VERSION}`);
const COPY_DEPENDENCIES = "org.apache.maven.plugins:maven-dependency-plugin:3.8.1:copy-dependencies";

// slf4j-simple so that the broker's complaints reach stderr; the version of slf4j that Kafka itself is built with.
const POM = `<project xmlns="http://maven.apache.org/POM/4.0.0">
  <modelVersion>4.0.0</modelVersion>
  <groupId>weir</groupId><artifactId>real-kafka</artifactId><version>1</version>
  <dependencies>
    <dependency><groupId>org.apache.kafka</groupId><artifactId>kafka_2.13</artifactId><version>${VERSION}</version></dependency>
    <dependency><groupId>org.slf4j</groupId><artifactId>slf4j-simple</artifactId><version>1.7.36</version></dependency>
  </dependencies>
</project>
`;

/** What this machine lacks to install and run Kafka; empty when nothing. */
export function missingForKafka() {
  const tools = existsSync(kafkaDir) ? ["java", "keytool"] : ["java", "keytool", "mvn"];
  return tools.filter((tool) => !isOnPath(tool));
}

/** Resolves to the folder of the jars. */
export async function installKafka() {
  const jars = join(kafkaDir, "lib");
  const missing = missingForKafka();
  if (missing.length > 0) {
    throw new Error(
      `Kafka needs ${missing.join(", ")}: install a Java 17 JDK and Maven (Debian: default-jdk-headless maven)`,
    );
  }
  if (existsSync(kafkaDir)) return jars;
  mkdirSync(cacheDir, { recursive: true });
  const building = await mkdtemp(`${kafkaDir}.building-`);
  try {
    const pom = join(building, "pom.xml");
    writeFileSync(pom, POM);
    const output = `-DoutputDirectory=${join(building, "lib")}`;
    await run("mvn", ["-q", "-B", "-f", pom, COPY_DEPENDENCIES, "-DincludeScope=runtime", output]);
    const count = (await readdir(join(building, "lib"))).length;
    if (count < 20) throw new Error(`Maven gave ${count} jars of Kafka only`);
    await rename(building, kafkaDir);
  } catch (error) {
    await rm(building, { recursive: true, force: true });
    // The other process was first.
    if (!existsSync(kafkaDir)) throw error;
  }
  return jars;
}

function isOnPath(tool) {
  return (process.env.PATH ?? "").split(delimiter).some((dir) => {
    try {
      accessSync(join(dir, tool), constants.X_OK);
      return true;
    } catch {
      return false;
    }
  });
}

async function run(command, args) {
  let output = "";
  const child = spawn(command, args, { stdio: ["ignore", "pipe", "pipe"] });
  for (const stream of [child.stdout, child.stderr]) {
    stream.setEncoding("utf8").on("data", (text) => (output += text));
  }
  const code = await new Promise((resolve, reject) => child.on("error", reject).on("close", resolve));
  if (code === 0) return;
  const reason = output.split("\n").find((line) => line.includes("ERROR")) ?? output.trim();
  throw new Error(`${command} could not fetch Kafka ${VERSION}: ${reason}`);
}

if (process.argv[1] !== undefined && realpathSync(process.argv[1]) === fileURLToPath(import.meta.url)) {
  try {
    process.stdout.write(`Kafka ${VERSION} in ${await installKafka()}\n`);
  } catch (error) {
    process.stderr.write(`install-kafka: ${error.message}\n`);
    process.exitCode = 1;
  }
}
