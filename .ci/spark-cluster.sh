#!/usr/bin/env bash
# A standalone Spark cluster on loopback: a master and two workers, for tests and trials.
#
#   spark-cluster.sh start PYTHON FOLDER   starts it and writes FOLDER/{master,master.pid,worker-N.pid}
#   spark-cluster.sh stop FOLDER           ends what start started
#
# PYTHON has pyspark (which brings Spark itself); Java 17 is in PATH.
set -euo pipefail

start() {
    local python=$1 folder=$2 port
    mkdir -p "$folder"
    SPARK_HOME=$("$python" -c 'import os, pyspark; print(os.path.dirname(pyspark.__file__))')
    # Everything listens on loopback only.
    export SPARK_HOME SPARK_LOCAL_IP=127.0.0.1 SPARK_MASTER_HOST=127.0.0.1 SPARK_LOCAL_HOSTNAME=127.0.0.1
    export SPARK_WORKER_DIR="$folder/work" SPARK_LOCAL_DIRS="$folder/local"
    port=$("$python" -c 'import socket; s = socket.socket(); s.bind(("127.0.0.1", 0)); print(s.getsockname()[1])')
    local class=org.apache.spark.deploy
    "$SPARK_HOME/bin/spark-class" "$class.master.Master" --host 127.0.0.1 --port "$port" --webui-port 0 \
        > "$folder/master.log" 2>&1 &
    echo $! > "$folder/master.pid"
    echo "spark://127.0.0.1:$port" > "$folder/master"
    for n in 1 2; do
        "$SPARK_HOME/bin/spark-class" "$class.worker.Worker" --host 127.0.0.1 --webui-port 0 \
            --cores "${WORKER_CORES:-1}" --memory "${WORKER_MEMORY:-2g}" "spark://127.0.0.1:$port" \
            > "$folder/worker-$n.log" 2>&1 &
        echo $! > "$folder/worker-$n.pid"
    done
    for _ in $(seq 60); do
        if [ "$(grep -c 'Registering worker' "$folder/master.log")" -ge 2 ]; then
            cat "$folder/master"
            return
        fi
        sleep 1
    done
    echo "the workers did not register within a minute; see $folder/*.log" >&2
    stop "$folder"
    exit 1
}

stop() {
    local file
    for file in "$1"/worker-*.pid "$1/master.pid"; do
        [ -e "$file" ] && { kill "$(cat "$file")" 2> /dev/null || true; rm -f "$file"; }
    done
}

case ${1:-} in
    start) start "$2" "$3" ;;
    stop) stop "$2" ;;
    *) echo "usage: $0 start PYTHON FOLDER | stop FOLDER" >&2; exit 2 ;;
esac
