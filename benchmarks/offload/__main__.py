from benchmarks.offload.run import main

main()
