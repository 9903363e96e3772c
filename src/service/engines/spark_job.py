"""One analysis of a hand-over folder on Spark: spark_job.py ARGUMENTS.json

The service starts this file as a child process; it also runs alone with spark-submit. It speaks on
standard output, one JSON object a line: {"progress": 0-1} and, before it fails, {"error": text}.

Input: Parquet tables and manifest.json, whose hashes are checked first. Output: a folder with the
table `rows` (and `endings` for impacts) and a manifest with the hash of each file, renamed last.

All iterations follow one pattern: state, partitioned by node, is joined with edges, partitioned by
source, without a shuffle; what arrives is shuffled by target and added up. Several sweeps make one
query, and a checkpoint ends it, so that plans stay short and a lost worker costs a few sweeps.
"""

import json
import math
import os
import signal
import sys
import threading
import time
import traceback

from pyspark.sql import SparkSession, Window
from pyspark.sql import functions as F

SCHEMA = 1
# Sweeps of one query.
CHUNK = 6
# Flows of one partition.
PARTITION_FLOWS = 250_000
# Slack against rounding in a threshold test, as in the local engine.
THRESHOLD_TOLERANCE = 1e-9
# More sweeps than any graph with a limit worth its name takes.
MOST_SWEEPS = 100_000
LIMITING, ADDITIVE, THRESHOLD, NONE = range(4)
# Kinds of what arrives at a node beside its inputs.
SHOCK, BEFORE = -1, 9


class Failed(Exception):
    """Something that whoever asked can understand."""


def say(**words):
    print(json.dumps(words), flush=True)


def die_with(parent):
    """Ends this process group when the service that started it is gone."""

    def watch():
        while os.getppid() == parent:
            time.sleep(1)
        os.killpg(os.getpgrp(), signal.SIGKILL)

    if os.getppid() == parent and os.getpgrp() == os.getpid():
        threading.Thread(target=watch, daemon=True).start()


class Files:
    """Files of the exchange folder, by Hadoop's file systems: local, HDFS, S3 alike."""

    def __init__(self, spark):
        self.jvm = spark.sparkContext._jvm
        self.conf = spark.sparkContext._jsc.hadoopConfiguration()

    def path(self, uri):
        path = self.jvm.org.apache.hadoop.fs.Path(uri)
        return path, path.getFileSystem(self.conf)

    def text(self, uri):
        path, system = self.path(uri)
        stream = system.open(path)
        try:
            return self.jvm.org.apache.commons.io.IOUtils.toString(stream, "UTF-8")
        finally:
            stream.close()

    def sha256(self, uri):
        path, system = self.path(uri)
        stream = system.open(path)
        try:
            return self.jvm.org.apache.commons.codec.digest.DigestUtils.sha256Hex(stream)
        finally:
            stream.close()

    def parts(self, uri):
        """Names and lengths of the Parquet files of a folder."""
        path, system = self.path(uri)
        found = [(s.getPath().getName(), s.getLen()) for s in system.listStatus(path)]
        return sorted(f for f in found if f[0].endswith(".parquet"))

    def write_last(self, uri, text):
        """Writes a file under another name and renames it."""
        place, system = self.path(uri + ".partial")
        stream = system.create(place, True)
        try:
            stream.write(bytearray(text.encode()))
        finally:
            stream.close()
        if not system.rename(place, self.path(uri)[0]):
            raise Failed(f"{uri} cannot be written")


class Job:
    """One run: its session, its tables, its result."""

    def __init__(self, arguments):
        self.arguments = arguments
        self.analysis = arguments["analysis"]
        if arguments["schema"] != SCHEMA:
            raise Failed(f"arguments have schema {arguments['schema']}; this job knows {SCHEMA}")
        master = arguments["master"]
        builder = SparkSession.builder.appName("chokepoint " + arguments["id"]).master(master)
        settings = {
            "spark.ui.enabled": "false",
            "spark.ui.showConsoleProgress": "false",
            # Joins of one iteration rely on the partitions of the last.
            "spark.sql.adaptive.enabled": "false",
            "spark.sql.autoBroadcastJoinThreshold": "-1",
            "spark.sql.join.preferSortMergeJoin": "false",
            "spark.sql.requireAllClusterKeysForCoPartition": "false",
            "spark.cleaner.referenceTracking.cleanCheckpoints": "true",
            # A lost worker: its tasks and stages are tried again elsewhere.
            "spark.task.maxFailures": "8",
            "spark.stage.maxConsecutiveAttempts": "16",
            "spark.network.timeout": "60s",
            "spark.executor.heartbeatInterval": "5s",
        }
        if master.startswith("local") or master.startswith("spark://127.0.0.1"):
            settings["spark.driver.host"] = settings["spark.driver.bindAddress"] = "127.0.0.1"
        settings.update(arguments.get("conf") or {})
        for name, value in settings.items():
            builder = builder.config(name, value)
        self.spark = builder.getOrCreate()
        self.spark.sparkContext.setLogLevel("WARN")
        self.files = Files(self.spark)
        self.local = master.startswith("local")
        if not self.local:
            self.spark.sparkContext.setCheckpointDir(arguments["checkpoints"])
        self.summary = {}
        self.counts = {}
        self.entries = []
        self.manifest = self.checked()
        flows = self.manifest["counts"]["flows"]
        nodes = self.manifest["counts"]["nodes"]
        cores = self.spark.sparkContext.defaultParallelism
        self.partitions = max(2, min(cores, 8), math.ceil(max(flows, nodes) / PARTITION_FLOWS))
        if "spark.sql.shuffle.partitions" in settings:
            self.partitions = int(settings["spark.sql.shuffle.partitions"])
        self.spark.conf.set("spark.sql.shuffle.partitions", str(self.partitions))

    # Exchange folder

    def checked(self):
        folder = self.arguments["input"]
        manifest = json.loads(self.files.text(folder + "/manifest.json"))
        if manifest["schema"] != SCHEMA:
            raise Failed(f"the hand-over has schema {manifest['schema']}; this job knows {SCHEMA}")
        if manifest["id"] != self.arguments["id"]:
            raise Failed(f"the hand-over is for {manifest['id']}, not {self.arguments['id']}")
        for entry in manifest["files"]:
            found = self.files.sha256(folder + "/" + entry["path"])
            if found != entry["sha256"]:
                raise Failed(
                    f"{entry['path']} has the SHA-256 {found}; the manifest says {entry['sha256']}"
                )
        return manifest

    def table(self, name):
        paths = [f["path"] for f in self.manifest["files"] if f["table"] == name]
        return self.spark.read.parquet(*[self.arguments["input"] + "/" + p for p in paths])

    def write(self, name, rows, order):
        folder = self.arguments["output"] + "/" + name
        rows.orderBy(*order).write.mode("overwrite").parquet(folder)
        self.counts[name] = self.spark.read.schema(rows.schema).parquet(folder).count()
        for part, length in self.files.parts(folder):
            path = f"{name}/{part}"
            self.entries.append({
                "table": name,
                "path": path,
                "bytes": length,
                "sha256": self.files.sha256(folder + "/" + part),
            })

    def finish(self):
        context = self.spark.sparkContext
        manifest = {
            "schema": SCHEMA,
            "id": self.arguments["id"],
            "graph": self.manifest["graph"],
            "version": self.manifest["version"],
            "counts": self.counts,
            "files": self.entries,
            "versions": {
                "spark": context.version,
                "python": sys.version.split()[0],
                "java": context._jvm.java.lang.System.getProperty("java.version"),
            },
            "summary": self.summary,
        }
        place = self.arguments["output"] + "/manifest.json"
        self.files.write_last(place, json.dumps(manifest, indent=1))

    # Iterating

    def cut(self, rows):
        """Ends a query: what comes before is not computed again."""
        return rows.localCheckpoint() if self.local else rows.checkpoint()

    def by(self, key, rows):
        return rows.repartition(self.partitions, key)

    def edges(self):
        """Linked pairs, each once."""
        return self.table("flows").select("source", "target").distinct()

    def spread(self, state, edges, best, step):
        """Values that travel along edges until nothing changes: the best of one's own and `step` of
        the neighbours' counts. `state`: node, value; `edges`: source, target."""
        # A node keeps its own value by a link to itself: the state is read once a sweep.
        own = self.table("nodes").select(F.col("node").alias("source"), F.col("node").alias("target"))
        edges = edges.where("source != target").withColumn("own", F.lit(False))
        edges = self.by("source", edges.union(own.withColumn("own", F.lit(True)))).persist()
        state = self.by("node", state)
        before = -1
        value = F.col("value")
        while True:
            for k in range(CHUNK):
                both = edges.join(state.hint("shuffle_hash"), F.col("source") == F.col("node"))
                both = both.select(
                    "target",
                    F.when(F.col("own"), value).otherwise(step(value)).alias("value"),
                    F.when(F.col("own"), value).alias("old"),
                )
                both = self.by("target", both).groupBy("target")
                both = both.agg(best("value").alias("value"), F.max("old").alias("old"))
                state = both.select(F.col("target").alias("node"), "value", "old")
                if k + 1 < CHUNK:
                    state = state.select("node", "value")
            state = self.cut(state)
            changed = state.where("old is null or old != value").count()
            state = state.select("node", "value")
            if changed == 0:
                edges.unpersist()
                return state
            before = max(before, changed)
            say(progress=0.2 + 0.6 * (1 - changed / before))

    # Analyses

    def degree(self):
        edges = self.edges().persist()
        incoming = edges.groupBy(F.col("target").alias("node")).agg(F.count("*").alias("in_degree"))
        leaving = edges.groupBy(F.col("source").alias("node")).agg(F.count("*").alias("out_degree"))
        rows = self.table("nodes").select("node").join(incoming, "node", "left")
        rows = rows.join(leaving, "node", "left").fillna(0, ["in_degree", "out_degree"])
        self.write("rows", rows.select("node", "in_degree", "out_degree"), ["node"])

    def strengths(self):
        flows = self.table("flows")
        incoming = flows.groupBy(F.col("target").alias("node"))
        leaving = flows.groupBy(F.col("source").alias("node"))
        rows = self.table("nodes").join(incoming.agg(F.sum("quantity").alias("in_strength")), "node", "left")
        rows = rows.join(leaving.agg(F.sum("quantity").alias("out_strength")), "node", "left")
        return rows.fillna(0.0, ["in_strength", "out_strength"])

    def strength(self):
        rows = self.strengths().select("node", "in_strength", "out_strength")
        self.write("rows", rows, ["node"])

    def concentration(self):
        group = Window.partitionBy("product", "stage")
        rows = self.strengths()
        known = (F.count(F.col("output")).over(group) == F.count(F.lit(1)).over(group)) & (
            F.sum("output").over(group) > 0
        )
        through = F.when(F.col("out_strength") > 0, F.col("out_strength")).otherwise(F.col("in_strength"))
        rows = rows.withColumn("amount", F.when(known, F.col("output")).otherwise(through))
        held = rows.groupBy("product", "stage", "country")
        held = held.agg(F.sum("amount").alias("amount"), F.count("*").alias("nodes"))
        total = F.sum("amount").over(group)
        held = held.withColumn("total", total).where("total > 0")
        held = held.withColumn("share", F.col("amount") / F.col("total"))
        rows = held.groupBy("product", "stage").agg(
            F.sum("nodes").alias("nodes"),
            F.first("total").alias("total"),
            F.sum(F.col("share") * F.col("share")).alias("hhi"),
            F.max("share").alias("top_share"),
        )
        self.write("rows", rows, ["product", "stage"])

    def reachability(self):
        edges = self.edges()
        if self.analysis["upstream"]:
            edges = reverse(edges)
        start = self.table("sources").distinct().withColumn("value", F.lit(0).cast("long"))
        state = self.spread(start, edges, F.min, lambda value: value + 1)
        rows = state.select("node", F.col("value").alias("hops"))
        self.write("rows", rows, ["node"])
        self.summary["reached"] = self.counts["rows"]

    def components(self):
        label = self.strong() if self.analysis["strong"] else self.weak()
        rows = self.table("nodes").select("node").join(label, "node", "left")
        rows = rows.select("node", F.coalesce("value", "node").alias("component")).persist()
        self.summary["count"] = rows.where("node = component").count()
        self.write("rows", rows, ["node"])

    def weak(self):
        """Large star, small star (Kiveris et al. 2014, SoCC): every node ends linked to the first of
        its component, in few rounds whatever the diameter."""
        links = self.edges().where("source != target")
        links = links.select(F.greatest("source", "target").alias("u"), F.least("source", "target").alias("v"))
        links = self.cut(links.distinct())
        of_u = Window.partitionBy("u")
        state, rounds = None, 0
        while True:
            both = links.union(links.select(F.col("v").alias("u"), F.col("u").alias("v")))
            first = F.least(F.min("v").over(of_u), F.col("u"))
            large = both.withColumn("m", first).where("v > u")
            large = large.select(F.col("v").alias("u"), F.col("m").alias("v")).where("u != v").distinct()
            small = large.withColumn("m", F.min("v").over(of_u))
            links = small.select(F.col("v").alias("u"), F.col("m").alias("v"))
            links = links.union(small.select("u", F.col("m").alias("v"))).where("u != v").distinct()
            links = self.cut(links)
            found = links.agg(F.count("*"), F.bit_xor(F.xxhash64("u", "v"))).first()
            rounds += 1
            if found == state:
                self.summary["rounds"] = rounds
                return links.select(F.col("u").alias("node"), F.col("v").alias("value"))
            state = found
            say(progress=min(0.9, 0.2 + 0.1 * rounds))

    def strong(self):
        """Colouring (Orzan 2004): each node takes the greatest number that reaches it; the nodes of a
        colour that reach its root are one component, and leave. Components are named by their first
        node at the end."""
        left = self.table("nodes").select("node")
        edges = self.cut(self.edges().where("source != target"))
        done, rounds = [], 0
        total = self.manifest["counts"]["nodes"]
        while True:
            # Nodes without suppliers or without consumers are components of their own.
            ends = edges.select(F.col("source").alias("node")).intersect(edges.select(F.col("target").alias("node")))
            left = self.cut(ends)
            edges = edges.join(left.withColumnRenamed("node", "source"), "source", "left_semi")
            edges = self.cut(edges.join(left.withColumnRenamed("node", "target"), "target", "left_semi").select("source", "target"))
            remaining = left.count()
            rounds += 1
            if remaining == 0:
                break
            say(progress=min(0.9, 0.1 + 0.8 * (1 - remaining / max(total, 1))))
            if edges.isEmpty():
                break
            start = left.select("node", F.col("node").alias("value"))
            colour = self.spread(start, edges, F.max, lambda value: value)
            inner = edges.join(colour.select(F.col("node").alias("source"), F.col("value").alias("a")), "source")
            inner = inner.join(colour.select(F.col("node").alias("target"), F.col("value").alias("b")), "target")
            inner = self.cut(inner.where("a = b").select(F.col("target").alias("source"), F.col("source").alias("target")))
            roots = colour.where("node = value").select("node", F.lit(0).cast("long").alias("value"))
            reached = self.spread(roots, inner, F.min, lambda value: value + 1).select("node")
            member = self.cut(reached.join(colour, "node"))
            done.append(member)
            gone = member.select("node")
            edges = edges.join(gone.withColumnRenamed("node", "source"), "source", "left_anti")
            edges = self.cut(edges.join(gone.withColumnRenamed("node", "target"), "target", "left_anti").select("source", "target"))
        self.summary["rounds"] = rounds
        found = self.spark.createDataFrame([], "node long, value long")
        for member in done:
            found = found.union(member)
        first = found.groupBy("value").agg(F.min("node").alias("first"))
        return found.join(first, "value").select("node", F.col("first").alias("value"))

    def pagerank(self):
        """(I - d P') y = v by Jacobi sweeps, x = y / |y| (Gleich et al.): nodes without consumers need
        no care, and the normalisation is that of the local engine."""
        d, tolerance = self.analysis["damping"], self.analysis["tolerance"]
        nodes = self.manifest["counts"]["nodes"]
        if self.analysis["weighted"]:
            edges = self.table("flows").where("quantity > 0")
            edges = edges.select("source", "target", F.col("quantity").alias("weight"))
        else:
            edges = self.edges().withColumn("weight", F.lit(1.0))
        all_out = F.sum("weight").over(Window.partitionBy("source"))
        edges = edges.withColumn("rate", F.lit(d) * F.col("weight") / all_out)
        own = self.table("nodes").select(
            F.col("node").alias("source"), F.col("node").alias("target"), F.lit(None).cast("double").alias("rate")
        )
        # The rank before travels along a link to itself, without a rate.
        edges = self.by("source", edges.select("source", "target", "rate").union(own)).persist()
        base = self.by("node", self.table("nodes").select("node"))
        base = base.withColumn("value", F.lit(1.0 / max(nodes, 1))).persist()
        state, sweeps, error = base, 0, math.inf
        most = 1000 if d > 0 else 1
        while error > tolerance and sweeps < most:
            for k in range(CHUNK):
                links = edges if k + 1 == CHUNK else edges.where("rate is not null")
                arrives = links.join(state.hint("shuffle_hash"), F.col("source") == F.col("node"))
                own_rank = F.when(F.col("rate").isNull(), F.col("value")).otherwise(0.0)
                arrives = arrives.select(
                    "target",
                    F.coalesce(F.col("rate") * F.col("value"), F.lit(0.0)).alias("passed"),
                    own_rank.alias("old"),
                ).withColumnRenamed("passed", "value")
                arrives = arrives.union(base.select(F.col("node").alias("target"), "value", F.lit(0.0)))
                arrives = self.by("target", arrives).groupBy("target")
                arrives = arrives.agg(F.sum("value").alias("value"), F.sum("old").alias("old"))
                state = arrives.select(F.col("target").alias("node"), "value", "old")
                if k + 1 < CHUNK:
                    state = state.select("node", "value")
            state = self.cut(state)
            total, change = state.agg(F.sum("value"), F.sum(F.abs(F.col("value") - F.col("old")))).first()
            total, change = total or 1.0, change or 0.0
            sweeps += CHUNK
            error = 2 * change * d / (1 - d) / total
            state = state.select("node", "value")
            say(progress=0.1 + 0.8 * share_done(error, tolerance))
        self.summary.update(converged=error <= tolerance, iterations=sweeps, error=error)
        total = state.agg(F.sum("value")).first()[0] or 1.0
        rows = state.select("node", (F.col("value") / F.lit(total)).alias("score"))
        self.write("rows", rows, ["node"])

    def impacts(self):
        """The production rules of the local engine (src/analysis/impact/rows.rs), for all scenarios
        side by side: sweeps from the shocks up to the least fixed point."""
        asked = self.analysis
        shocks = self.table("shocks")
        cuts = self.table("cuts")
        sides = []
        if asked["downstream"]:
            start = shocks.select("scenario", "node", "loss")
            sides.append(("loss_downstream", self.missing_inputs(), start))
        if asked["upstream"]:
            start = shocks.select("scenario", "node", F.col("loss_upstream").alias("loss"))
            sides.append(("loss_upstream", self.missing_orders(), start))
        endings = {k: [0, True, 0.0] for k in range(asked["scenarios"])}
        columns = []
        for part, (name, edges, start) in enumerate(sides):
            losses = self.sweep(edges, start.where("loss > 0"), cuts, endings, part, len(sides))
            columns.append(losses.withColumnRenamed("loss", name))
        rows = columns[0]
        if len(columns) == 2:
            rows = rows.join(columns[1], ["scenario", "node"], "full")
        for name in ("loss_downstream", "loss_upstream"):
            if name not in rows.columns:
                rows = rows.withColumn(name, F.lit(0.0))
        rows = rows.fillna(0.0, ["loss_downstream", "loss_upstream"])
        rows = rows.select("scenario", "node", "loss_downstream", "loss_upstream")
        self.write("rows", rows, ["scenario", "node"])
        ended = [(k, int(s), int(c), float(r)) for k, (s, c, r) in sorted(endings.items())]
        schema = "scenario long, sweeps long, converged long, residual double"
        self.write("endings", self.spark.createDataFrame(ended, schema), ["scenario"])
        self.summary["converged"] = all(c for _, c, _ in endings.values())

    def missing_inputs(self):
        """Suppliers act on consumers: flow, source, target, input, kind, weight, limit."""
        flows = self.table("flows")
        product = self.table("nodes").select(F.col("node").alias("target"), F.col("product").alias("made"))
        rules = self.table("requirements").select(
            F.col("output").alias("made"), F.col("input").alias("product"), "rule", "dependence", "min_share"
        )
        baseline = F.sum("quantity").over(Window.partitionBy("target", "product"))
        everything = F.sum("quantity").over(Window.partitionBy("target"))
        rows = flows.withColumn("all", everything).withColumn("baseline", baseline)
        rows = rows.where("baseline > 0").join(product, "target")
        rows = rows.join(rules, ["made", "product"], "left")
        rows = rows.fillna(LIMITING, ["rule"]).fillna(1.0, ["dependence", "min_share"])
        rows = rows.where((F.col("rule") != NONE) & ~((F.col("rule") == LIMITING) & (F.col("dependence") == 0)))
        share = F.col("quantity") / F.col("baseline")
        weight = (
            F.when(F.col("rule") == LIMITING, F.col("dependence") * share)
            .when(F.col("rule") == ADDITIVE, F.col("baseline") / F.col("all") * share)
            .otherwise(share)
        )
        limit = F.when(F.col("rule") == THRESHOLD, 1.0 - F.col("min_share") + THRESHOLD_TOLERANCE)
        return rows.select(
            "flow", "source", "target", F.col("product").alias("input"), F.col("rule").alias("kind"),
            weight.alias("weight"), limit.otherwise(0.0).alias("limit"),
        )

    def missing_orders(self):
        """Consumers act on suppliers, each by its share of what the supplier sells."""
        all_out = F.sum("quantity").over(Window.partitionBy("source"))
        rows = self.table("flows").withColumn("all", all_out).where("all > 0")
        return rows.select(
            "flow", F.col("target").alias("source"), F.col("source").alias("target"),
            F.lit(0).cast("long").alias("input"), F.lit(ADDITIVE).cast("long").alias("kind"),
            (F.col("quantity") / F.col("all")).alias("weight"), F.lit(0.0).alias("limit"),
        )

    def sweep(self, edges, start, cuts, endings, part, parts):
        has_cuts = not cuts.isEmpty()
        if has_cuts:
            shut = edges.join(cuts, "flow").withColumnRenamed("share", "loss").persist()
        # What a node lost before travels along a link to itself: the state is read once a sweep.
        own = self.table("nodes").select(
            F.lit(-1).cast("long").alias("flow"), F.col("node").alias("source"), F.col("node").alias("target"),
            F.lit(0).cast("long").alias("input"), F.lit(BEFORE).cast("long").alias("kind"),
            F.lit(1.0).alias("weight"), F.lit(0.0).alias("limit"),
        )
        edges = self.by("source", edges.union(own)).persist()
        start = start.persist()
        shock = start.select(
            "scenario", F.col("node").alias("target"), F.lit(SHOCK).cast("long").alias("input"),
            F.lit(LIMITING).cast("long").alias("kind"), F.lit(0.0).alias("limit"), F.col("loss").alias("value"),
        )
        columns = ["scenario", "target", "input", "kind", "limit", "value"]
        arrival = ["scenario", "flow", "target", "input", "kind", "weight", "limit", "loss"]
        state = self.cut(self.by("node", start.select("scenario", "node", "loss")))
        active = sorted(endings)
        tolerance = self.analysis["tolerance"]
        most = self.analysis["max_sweeps"] or MOST_SWEEPS
        finished, sweeps = [], 0
        while active and sweeps < most:
            chunk = min(CHUNK, most - sweeps)
            for k in range(chunk):
                last = k + 1 == chunk
                links = edges if last else edges.where(F.col("kind") != BEFORE)
                lost = links.join(state.hint("shuffle_hash"), F.col("source") == F.col("node"))
                if has_cuts:
                    # An arrival loses the greater of what its supplier lost and what is cut.
                    more = shut.where(F.col("scenario").isin(active)) if finished else shut
                    lost = lost.select(arrival).union(more.select(arrival))
                    lost = self.by("target", lost).groupBy([c for c in arrival if c != "loss"])
                    lost = lost.agg(F.max("loss").alias("loss"))
                lost = lost.withColumn("value", F.col("weight") * F.col("loss")).select(columns)
                lost = lost.union(shock.where(F.col("scenario").isin(active)) if finished else shock)
                lost = self.by("target", lost).groupBy("scenario", "target", "input", "kind", "limit")
                lost = lost.agg(F.sum("value").alias("short"))
                kind, short = F.col("kind"), F.col("short")
                binds = F.when(kind == LIMITING, short).when(
                    kind == THRESHOLD, F.when(short > F.col("limit"), 1.0).otherwise(0.0)
                )
                lost = lost.groupBy("scenario", "target").agg(
                    F.max(binds).alias("worst"),
                    F.sum(F.when(kind == ADDITIVE, short)).alias("added"),
                    F.max(F.when(kind == BEFORE, short)).alias("before"),
                )
                zero = F.lit(0.0)
                loss = F.greatest(F.coalesce("worst", zero), F.coalesce("added", zero))
                state = lost.select(
                    "scenario", F.col("target").alias("node"), F.least(loss, F.lit(1.0)).alias("loss"), "before"
                ).where("loss > 0")
                if not last:
                    state = state.select("scenario", "node", "loss")
            state = self.cut(state)
            sweeps += chunk
            change = F.abs(F.col("loss") - F.coalesce("before", F.lit(0.0)))
            changes = dict(state.groupBy("scenario").agg(F.max(change)).collect())
            state = state.select("scenario", "node", "loss")
            still = [k for k in active if changes.get(k, 0.0) > tolerance]
            for k in active:
                made, converged, residual = endings[k]
                now = changes.get(k, 0.0)
                if k not in still or sweeps >= most:
                    endings[k] = [max(made, sweeps), converged and k not in still, max(residual, now)]
            if len(still) < len(active):
                keep = F.col("scenario").isin(still)
                finished.append(state.where(~keep))
                state = state.where(keep)
            active = still
            worst = max(changes.values(), default=0.0)
            say(progress=(part + 0.1 + 0.8 * share_done(worst, tolerance)) / parts)
        for rows in finished:
            state = state.union(rows)
        return state


def reverse(edges):
    return edges.select(F.col("target").alias("source"), F.col("source").alias("target"))


def share_done(error, tolerance):
    """How far an error has come to its tolerance, on a logarithmic scale."""
    if error <= tolerance:
        return 1.0
    return max(0.0, min(1.0, math.log(min(error, 1.0)) / math.log(tolerance)))


ANALYSES = ("impacts", "pagerank", "components", "reachability", "degree", "strength", "concentration")


def main():
    if len(sys.argv) != 2:
        sys.exit("usage: spark_job.py ARGUMENTS.json")
    with open(sys.argv[1], encoding="utf-8") as file:
        arguments = json.load(file)
    die_with(arguments.get("parent"))
    name = arguments["analysis"]["name"]
    try:
        if name not in ANALYSES:
            raise Failed(f"this job does not do {name}; it does {', '.join(ANALYSES)}")
        job = Job(arguments)
        say(progress=0.05)
        getattr(job, name)()
        job.finish()
        say(progress=1.0)
        job.spark.stop()
    except Exception as error:  # Whatever it was: the service tells the user.
        traceback.print_exc()
        say(error=str(error).strip().split("\n")[0][:500])
        sys.exit(1)


if __name__ == "__main__":
    main()
