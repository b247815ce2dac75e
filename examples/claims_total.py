total = sum([12000, 8500, 15000, 9200])
print(f"Total claims: ${total:,}")
